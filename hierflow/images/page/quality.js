// Which pairs are shown: all, or those that match.
const find = (selector) => document.querySelector(selector);
const text = find("#text"), outcome = find("#outcome");
const columns = [...document.querySelectorAll(".filter.column")];
const pairs = [...document.querySelectorAll(".pair[data-places]")].map((card) => ({
  card,
  places: card.dataset.places.split(","),
  words: [card.dataset.id, card.querySelector(".prompt").textContent].join("\n").toLowerCase(),
}));

function update() {
  const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0, filtered = wanted.length > 0 || outcome.value !== "";
  for (const select of [outcome, ...columns]) {
    select.classList.toggle("set", select.value !== "");
    filtered ||= select.value !== "";
  }
  for (const {card, places, words} of pairs) {
    const fits = (!outcome.value || card.dataset.outcome === outcome.value)
      && columns.every((select, at) => !select.value || places[at] === select.value)
      && wanted.every((word) => words.includes(word));
    if (card.hidden === fits) card.hidden = !fits;
    shown += fits;
  }
  const counted = (number) => number.toLocaleString("en");
  find("#count").textContent = (shown === pairs.length ? "" : counted(shown) + " of ") + counted(pairs.length)
    + (pairs.length === 1 ? " pair" : " pairs");
  find("#none").hidden = shown > 0;
  find("#clear").hidden = !filtered;
}

if (text) {
  text.addEventListener("input", update);
  for (const select of [outcome, ...columns]) select.addEventListener("change", update);
  find("#clear").addEventListener("click", () => {
    for (const field of [text, outcome, ...columns]) field.value = "";
    update();
    text.focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    text.focus();
  });
  update(); // a reloaded page keeps what was typed and chosen
}
