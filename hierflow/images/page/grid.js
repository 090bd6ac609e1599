"use strict";
// The grid: what is shown, in which order, and the filters that decide it.
const find = (selector) => document.querySelector(selector);
const data = JSON.parse(find("#data").textContent);
const map = data.map;
const grid = find(".grid"), text = find("#text"), order = find("#order"), dialog = find("#dialog");
const filters = [...document.querySelectorAll(".filter")];
const entries = [...document.querySelectorAll(".card")].map((card, index) => ({card, index}));
const entryOf = new Map(entries.map((entry) => [entry.card, entry]));
const promptOf = (entry) => entry.card.querySelector(".prompt").textContent;
let shown = entries, branch = null; // a branch is the number of a segment

function valueOf(place, index) {
  const [, options, values] = data.columns[place];
  return options ? options[values[index]] : values[index];
}

/** The place of one of our own columns; an axis may bear the same name. */
function columnOf(label) {
  return data.columns.findIndex(([name], place) => name === label && place >= data.searched);
}

function wordsOf(entry) {
  if (entry.words === undefined) {
    const values = Array.from({length: data.searched}, (_, place) => valueOf(place, entry.index));
    entry.words = [promptOf(entry), ...values].join("\n").toLowerCase();
  }
  return entry.words;
}

function under(entry) {
  const offset = map.places[entry.index] - map.start[branch];
  return offset >= 0 && offset < map.size[branch];
}

function matches(entry, wanted, chosen) {
  return chosen.every(([place, option]) => data.columns[place][2][entry.index] === option)
    && (branch === null || under(entry)) && wanted.every((word) => wordsOf(entry).includes(word));
}

function update() {
  const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = [];
  filters.forEach((select, at) => {
    select.classList.toggle("set", Boolean(select.value));
    if (select.value) chosen.push([data.filters[at], Number(select.value)]);
  });
  shown = entries.filter((entry) => matches(entry, wanted, chosen));
  const visible = new Set(shown);
  for (const entry of entries) {
    const hidden = !visible.has(entry);
    if (entry.card.hidden !== hidden) entry.card.hidden = hidden;
  }
  const counted = (number) => number.toLocaleString("en"), all = shown.length === entries.length;
  find("#count").textContent = (all ? "" : counted(shown.length) + " of ") + counted(entries.length)
    + (entries.length === 1 ? " image" : " images");
  find("#none").hidden = shown.length > 0;
  find("#clear").hidden = !(wanted.length || chosen.length || branch !== null);
  for (const button of changeButtons) button.setAttribute("aria-pressed", String(isChosen(button)));
  if (map) drawBranches();
}

function arrange() {
  const by = order.value, score = columnOf("Score: " + by.slice(1));
  const rank = (entry) => {
    if (!by) return entry.index;
    if (by === "tree") return map.places[entry.index];
    const value = valueOf(score, entry.index);
    return value === "" ? Infinity : by[0] === "-" ? -Number(value) : Number(value);
  };
  const ranks = new Map(entries.map((entry) => [entry, rank(entry)]));
  entries.sort((a, b) => ranks.get(a) - ranks.get(b) || a.index - b.index);
  grid.append(...entries.map((entry) => entry.card));
  update();
}

function clear() {
  text.value = "";
  for (const select of filters) select.value = "";
  branch = null;
  update();
}

// The counts in the header are short cuts to the filter "change".
const changeButtons = [...document.querySelectorAll(".filter-change")];
const changeColumn = columnOf("change");
const changeFilter = filters[data.filters.indexOf(changeColumn)];

function optionOf(button) {
  return String(data.columns[changeColumn][1].indexOf(button.dataset.change));
}

function isChosen(button) {
  return changeFilter !== undefined && changeFilter.value === optionOf(button);
}

for (const button of changeButtons) {
  button.disabled = !changeFilter; // all images are new, or all are changed: there is nothing to tell apart
  button.addEventListener("click", () => {
    changeFilter.value = isChosen(button) ? "" : optionOf(button);
    update();
  });
}

// Arrows walk over the cards that are shown, as in a file manager.
grid.addEventListener("keydown", (event) => {
  const entry = entryOf.get(event.target);
  if (!entry || event.ctrlKey || event.metaKey || event.altKey) return;
  const across = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
  const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across}[event.key];
  const place = shown.indexOf(entry);
  const next = event.key === "Home" ? shown[0] : event.key === "End" ? shown.at(-1) : by && shown[place + by];
  if (by || event.key === "Home" || event.key === "End") event.preventDefault();
  if (next) next.card.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || dialog.open || event.target.matches("input, select, textarea")) return;
  event.preventDefault();
  text.focus();
});

function pixelate(image) {
  image.classList.toggle("pixelated", Math.max(image.naturalWidth, image.naturalHeight) <= 128);
}

grid.addEventListener("load", (event) => event.target.matches("img") && pixelate(event.target), true);
for (const image of grid.querySelectorAll("img")) if (image.complete && image.naturalWidth) pixelate(image);
text.addEventListener("input", update);
for (const select of filters) select.addEventListener("change", update);
order.addEventListener("change", arrange);
find("#clear").addEventListener("click", () => {
  clear();
  text.focus();
});
