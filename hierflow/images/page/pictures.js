"use strict";
// Pictures that are gone, and small ones that are shown large.

/** A file may have been pruned since the page was written; where only its thumbnail was, the file itself will do. */
function tellGone(image) {
  const tile = image.closest(".tile");
  if (image.getAttribute("src") !== tile.getAttribute("href")) {
    image.src = tile.getAttribute("href");
    return;
  }
  const said = document.createElement("p");
  said.className = "error";
  said.textContent = "Its file is gone.";
  tile.removeAttribute("href");
  tile.replaceChildren(said);
}

function pixelate(image) {
  image.classList.toggle("pixelated", Math.max(image.naturalWidth, image.naturalHeight) <= 128);
}

document.addEventListener("error", (event) => event.target.matches("img") && tellGone(event.target), true);
document.addEventListener("load", (event) => event.target.matches("img") && pixelate(event.target), true);
for (const image of document.images) {
  if (image.complete && image.naturalWidth) pixelate(image);
  else if (image.complete && image.currentSrc) tellGone(image);
}
