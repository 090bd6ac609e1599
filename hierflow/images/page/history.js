// What is shown: all changes, or those that match. Runs open while they have a match, and close again afterwards.
const find = (selector) => document.querySelector(selector);
const text = find("#text"), kind = find("#kind");
const runs = [...document.querySelectorAll(".run")].map((run) => ({
  run, wasOpen: run.open, name: run.querySelector("summary").textContent, events: [...run.querySelectorAll(".event")],
}));
const all = runs.reduce((sum, {events}) => sum + events.length, 0);
const words = new Map(); // of an event, put together when it is first searched
let filtered = false;

function wordsOf(event, name) {
  if (!words.has(event)) words.set(event, [name, event.dataset.id, event.textContent].join("\n").toLowerCase());
  return words.get(event);
}

function update() {
  const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const began = !filtered && (wanted.length > 0 || kind.value !== ""), ended = filtered && !wanted.length && !kind.value;
  let shown = 0;
  filtered = wanted.length > 0 || kind.value !== "";
  for (const entry of runs) {
    if (began) entry.wasOpen = entry.run.open;
    let matches = 0;
    for (const event of entry.events) {
      const fits = (!kind.value || event.dataset.kind === kind.value)
        && wanted.every((word) => wordsOf(event, entry.name).includes(word));
      if (event.hidden === fits) event.hidden = !fits;
      matches += fits;
    }
    entry.run.hidden = !matches;
    if (filtered) entry.run.open = matches > 0;
    else if (ended) entry.run.open = entry.wasOpen;
    shown += matches;
  }
  const counted = (number) => number.toLocaleString("en");
  find("#count").textContent = (shown === all ? "" : counted(shown) + " of ") + counted(all) + (all === 1 ? " change" : " changes");
  find("#none").hidden = shown > 0;
  find("#clear").hidden = !filtered;
  kind.classList.toggle("set", kind.value !== "");
}

text.addEventListener("input", update);
kind.addEventListener("change", update);
find("#clear").addEventListener("click", () => {
  text.value = kind.value = "";
  update();
  text.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  text.focus();
});
update(); // a reloaded page keeps what was typed and chosen
