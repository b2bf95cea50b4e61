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

// unfold's charts print a tick as the float that it is. Its options are there once all scripts have run, and are read
// when the page has loaded.
document.addEventListener("DOMContentLoaded", () => {
  if (typeof DEFAULT_CHART_OPTIONS === "undefined") return;
  const ticks = DEFAULT_CHART_OPTIONS.scales.y.ticks;
  ticks.callback = short;
  ticks.precision = (context) => (context.chart.data.datasets.some((dataset) => dataset.isCount) ? 0 : undefined);
});

const SIZES = [[1e9, "B"], [1e6, "M"], [1e3, "k"]];

function short(value) {
  const [size, suffix] = SIZES.find(([least]) => Math.abs(value) >= least) || [1, ""];
  return (value / size).toLocaleString("en-US", { maximumSignificantDigits: 4 }) + suffix;
}
