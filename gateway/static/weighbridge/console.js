"use strict";

// <button data-copy="id of an element">: puts its text on the clipboard and says so. A static file, as the console's
// content security policy allows no script inside a page.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const isCopied = await copy(source);
  const label = button.querySelector("[data-label]") || button;
  label.textContent = isCopied ? "Copied" : "Press Ctrl+C";
});

async function copy(source) {
  const range = document.createRange();
  range.selectNodeContents(source);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  try {
    await navigator.clipboard.writeText(source.textContent);
    return true;
  } catch {
    return document.execCommand("copy"); // plain http on another host has no clipboard API
  }
}
