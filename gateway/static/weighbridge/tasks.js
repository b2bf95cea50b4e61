"use strict";

// Pages of background tasks: while one of those shown is not over, the page is asked for anew, and the parts marked
// data-live are put in place of the old ones.
const PAUSE_MILLISECONDS = 2000;
const content = (part) => part.outerHTML.replace(/value="\w{64}"/, ""); // but for the form's token
const isUnfinished = () => document.querySelector("[data-unfinished]") !== null;

async function refresh() {
  const answer = await fetch(location.href, { credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return false; // logged out, say
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll("[data-live]")) {
    const part = fresh.querySelector(`[data-live="${old.dataset.live}"]`);
    if (part && content(part) !== content(old)) old.replaceWith(document.importNode(part, true));
  }
  return true;
}

async function watch() {
  let isFine = true;
  if (!document.hidden) isFine = await refresh().catch(() => true); // a gateway that restarts comes back
  if (isFine && isUnfinished()) setTimeout(watch, PAUSE_MILLISECONDS);
}

document.addEventListener("DOMContentLoaded", () => isUnfinished() && setTimeout(watch, PAUSE_MILLISECONDS));
