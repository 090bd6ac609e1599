// One image in full size, with where it comes from.
let current = null;

function element(tag, content, name = "") {
  const made = document.createElement(tag);
  made.textContent = content;
  made.className = name;
  return made;
}

function cell(tag, content) {
  const made = element(tag, content);
  made.dir = "auto";
  return made;
}

function picture(entry) {
  const {card} = entry;
  if (!card.href) return card.querySelector(".error").cloneNode(true);
  const link = document.createElement("a"), image = new Image();
  image.onload = () => pixelate(image);
  image.alt = promptOf(entry);
  link.href = image.src = card.href;
  link.target = "_blank";
  link.append(image);
  return link;
}

/** The steps of an image: who else they were for, each stretch a way to its branch. */
function stretches(entry) {
  const path = branches.path(map.places[entry.index]);
  const strip = find(".strip");
  strip.setAttribute("viewBox", "0 0 " + map.steps + " 1");
  strip.replaceChildren(...path.map((segment) => {
    const band = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const left = branches.first[segment] - 1, gap = segment === path.at(-1) ? 0 : map.steps / 250;
    const place = {x: left, width: map.last[segment] - left - gap, height: 1, class: shadeOf(map.size[segment])};
    for (const [name, value] of Object.entries(place)) band.setAttribute(name, value);
    return band;
  }));
  find(".made ol").replaceChildren(...path.map((segment) => {
    const item = document.createElement("li"), button = element("button", "");
    const others = map.size[segment] - 1, span = spanOf(segment);
    const who = others === 0 ? "alone" : "with " + others.toLocaleString("en") + (others === 1 ? " other prompt" : " other prompts");
    button.type = "button";
    button.append(
      element("span", span[0].toUpperCase() + span.slice(1), "span"),
      element("span", who, others ? "shared" : ""),
      element("span", "node " + map.node[segment], "node"),
    );
    button.addEventListener("click", () => {
      dialog.close();
      clear();
      choose(segment);
    });
    item.append(button);
    return item;
  }));
}

function shadeOf(size) {
  return "t" + (map.levels.filter((least) => size >= least).length - 1);
}

function tableOf(entry) {
  const pairs = data.columns.map(([label], place) => [label, valueOf(place, entry.index)]);
  if (entry.card.href) pairs.push(["File", decodeURIComponent(entry.card.getAttribute("href"))]);
  return pairs.filter(([label, value]) => value !== "" && label !== "Why").map(([label, value]) => {
    const row = document.createElement("tr");
    row.append(cell("th", label), cell("td", value));
    return row;
  });
}

function show(entry) {
  current = entry;
  find(".stage").replaceChildren(picture(entry));
  find("#place").textContent = (shown.indexOf(entry) + 1).toLocaleString("en") + " of " + shown.length.toLocaleString("en");
  find(".full").textContent = promptOf(entry);
  const status = valueOf(columnOf("status"), entry.index), why = valueOf(columnOf("Why"), entry.index);
  find(".why").textContent = status === "outdated" ? "Outdated. " + why : "";
  find(".made").hidden = !map || map.places[entry.index] === map.leaves; // the plan leaves its prompt out
  if (map) stretches(entry);
  find(".facts-table tbody").replaceChildren(...tableOf(entry));
  // Not `disabled`: a button that has the focus would swallow the arrow keys.
  find("#previous").ariaDisabled = String(shown[0] === entry);
  find("#next").ariaDisabled = String(shown.at(-1) === entry);
  if (!dialog.open) {
    dialog.showModal();
    find("#next").focus(); // Enter or an arrow leads on
  }
  dialog.scrollTop = 0;
  history.replaceState(null, "", "#" + addressOf(entry));
  const next = shown[shown.indexOf(entry) + 1];
  if (next && next.card.href) new Image().src = next.card.href;
}

/** The part of the page's address that opens this image. */
function addressOf(entry) {
  const image = valueOf(columnOf("Image"), entry.index);
  return encodeURIComponent(valueOf(0, entry.index)) + (image && "/" + image);
}

function openAddressed() {
  const wanted = location.hash.slice(1), entry = wanted && shown.find((candidate) => addressOf(candidate) === wanted);
  if (entry) show(entry);
}

function step(by) {
  const next = shown[shown.indexOf(current) + by];
  if (next) show(next);
}

grid.addEventListener("click", (event) => {
  const card = event.target.closest(".card");
  if (!card || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  show(entryOf.get(card));
});
find("#previous").addEventListener("click", () => step(-1));
find("#next").addEventListener("click", () => step(1));
find("#close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
dialog.addEventListener("close", () => {
  history.replaceState(null, "", location.pathname + location.search); // without the image
  if (!current.card.hidden) current.card.focus();
});
window.addEventListener("hashchange", openAddressed);

if (order.value) arrange(); // a reloaded page keeps what was typed and chosen
else update();
openAddressed();
