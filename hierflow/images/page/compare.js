// One pair in full size, all arms beside each other.
const dialog = find("#dialog");
let current = null;

const visible = () => pairs.filter(({card}) => !card.hidden).map(({card}) => card);

function enlarged(figure) {
  const large = figure.cloneNode(true), link = large.querySelector("a.tile"), image = large.querySelector("img");
  if (!image) return large;
  link.target = "_blank";
  image.loading = "eager";
  image.src = link.getAttribute("href");
  return large;
}

function show(card) {
  const shown = visible(), place = shown.indexOf(card);
  current = card;
  find("#place").textContent = (place + 1).toLocaleString("en") + " of " + shown.length.toLocaleString("en");
  dialog.querySelector(".full").textContent = card.querySelector(".prompt").textContent;
  dialog.querySelector(".compared").replaceWith(card.querySelector(".compared").cloneNode(true));
  dialog.querySelector(".tiles").replaceChildren(...[...card.querySelectorAll("figure")].map(enlarged));
  // Not `disabled`: a button that has the focus would swallow the arrow keys.
  find("#previous").ariaDisabled = String(place === 0);
  find("#next").ariaDisabled = String(place === shown.length - 1);
  if (!dialog.open) {
    dialog.showModal();
    find("#next").focus(); // Enter or an arrow leads on
  }
  dialog.scrollTop = 0;
}

function step(by) {
  const shown = visible(), next = shown[shown.indexOf(current) + by];
  if (next) show(next);
}

if (dialog) {
  find(".pairs .grid").addEventListener("click", (event) => {
    if (!event.target.closest("a.tile") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(event.target.closest(".pair"));
  });
  find("#previous").addEventListener("click", () => step(-1));
  find("#next").addEventListener("click", () => step(1));
  find("#close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  dialog.addEventListener("close", () => (current.querySelector("a.tile") ?? current.querySelector(".prompt")).focus());
}
