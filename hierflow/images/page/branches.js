// The map of the branches: which prompts share which steps. A branch is found by where the pointer is, so that the
// picture needs no element for each of them.
const field = find("#field"), told = find("#branch"), chip = find("#chip");
const branches = map && branchesOf(map), introduction = map && told.textContent;

function branchesOf({steps, leaves, last, parent, start}) {
  const first = parent.map((above) => (above < 0 ? 1 : last[above] + 1));
  const ending = new Array(leaves);
  last.forEach((step, segment) => step === steps && (ending[start[segment]] = segment));
  return {
    first,
    /** The segments of the prompt at a place of the tree's order, from the first step to the last. */
    path(place) {
      const found = [];
      for (let segment = ending[place]; segment >= 0; segment = parent[segment]) found.push(segment);
      return found.reverse();
    },
    /** The segment that serves that prompt at a step. */
    at(step, place) {
      return this.path(place).find((segment) => step <= last[segment]);
    },
  };
}

function spanOf(segment) {
  const from = branches.first[segment], to = map.last[segment];
  return from === to ? "step " + from : "steps " + from + "–" + to;
}

function describe(segment) {
  const size = map.size[segment], length = map.last[segment] - branches.first[segment] + 1;
  const span = spanOf(segment), node = " (node " + map.node[segment] + ")";
  const begin = span[0].toUpperCase() + span.slice(1) + ": ";
  if (size === 1) return begin + "one prompt by itself" + node;
  return begin + size.toLocaleString("en") + " prompts as one, " + length.toLocaleString("en") + " evaluations instead of "
    + (size * length).toLocaleString("en") + node;
}

function mark(rectangle, segment) {
  rectangle.toggleAttribute("hidden", segment === null);
  if (segment === null) return;
  const tall = field.firstElementChild.viewBox.baseVal.height / map.leaves;
  const left = branches.first[segment] - 1;
  const place = {x: left, y: map.start[segment] * tall, width: map.steps - left, height: map.size[segment] * tall};
  for (const [name, value] of Object.entries(place)) rectangle.setAttribute(name, value);
}

/** Cover what no image that is shown belongs to. */
function drawBranches() {
  const height = field.firstElementChild.viewBox.baseVal.height, tall = height / map.leaves;
  const live = new Uint8Array(map.leaves + 1);
  for (const entry of shown) live[map.places[entry.index]] = 1;
  live[map.leaves] = 1;
  let path = "", from = -1;
  live.forEach((is, place) => {
    if (!is && from < 0) from = place;
    if (is && from >= 0) {
      path += "M0 " + from * tall + "h" + map.steps + "v" + (place - from) * tall + "h-" + map.steps + "z";
      from = -1;
    }
  });
  find("#veil").setAttribute("d", path);
  mark(find("#chosen"), branch);
  chip.hidden = branch === null;
  if (branch !== null) {
    const size = map.size[branch];
    chip.textContent = (size === 1 ? "One prompt" : "Branch of " + size.toLocaleString("en")) + ", from step "
      + branches.first[branch] + " ✕";
  }
  tell(branch);
}

function tell(segment) {
  told.textContent = segment === null ? introduction : describe(segment);
}

function choose(segment) {
  branch = segment;
  update();
}

function pointed(event) {
  const box = field.getBoundingClientRect();
  const step = Math.ceil(((event.clientX - box.left) / box.width) * map.steps);
  const place = Math.floor(((event.clientY - box.top) / box.height) * map.leaves);
  return branches.at(Math.min(Math.max(step, 1), map.steps), Math.min(Math.max(place, 0), map.leaves - 1));
}

/** Where an arrow leads from a branch: to its first branch, to what it grew from, or to its neighbours. */
function neighbour(segment, key) {
  const {first} = branches, {last, parent, start, size, leaves, steps} = map;
  if (key === "ArrowRight") return last[segment] < steps ? branches.at(last[segment] + 1, start[segment]) : segment;
  if (key === "ArrowLeft") return parent[segment] >= 0 ? parent[segment] : segment;
  const place = key === "ArrowUp" ? start[segment] - 1 : start[segment] + size[segment];
  return place >= 0 && place < leaves ? branches.at(first[segment], place) : segment;
}

if (map) {
  let walked = null;
  find(".map").open = !matchMedia("(max-width: 58rem)").matches; // there it would push the images off the screen
  const hover = (segment) => {
    mark(find("#hovered"), segment);
    tell(segment === null ? branch : segment);
  };
  field.tabIndex = 0;
  field.setAttribute("role", "application");
  field.setAttribute("aria-label", "Branches of the tree. Arrow keys walk, Enter shows a branch’s images.");
  field.setAttribute("aria-describedby", "branch");
  field.addEventListener("pointermove", (event) => hover(pointed(event)));
  field.addEventListener("pointerleave", () => hover(null));
  field.addEventListener("click", (event) => {
    walked = pointed(event);
    choose(walked === branch ? null : walked);
  });
  field.addEventListener("focus", () => {
    if (!field.matches(":focus-visible")) return;
    walked ??= branch ?? map.size.indexOf(Math.max(...map.size));
    hover(walked);
  });
  field.addEventListener("blur", () => hover(null));
  field.addEventListener("keydown", (event) => {
    if (event.key.startsWith("Arrow")) hover((walked = neighbour(walked ?? 0, event.key)));
    else if (event.key === "Enter" || event.key === " ") choose(walked === branch ? null : walked);
    else if (event.key === "Escape") choose(null);
    else return;
    event.preventDefault();
  });
  chip.addEventListener("click", () => choose(null));
}
