"use strict";

// The scan page: a filter over many models, ticking those that are shown, and one field for all that are ticked.
const form = document.querySelector("[data-scan]");
if (form) {
  const rows = [...form.querySelectorAll("[data-row]")].map((row) => ({
    row,
    box: row.querySelector("input"),
    text: row.textContent.toLowerCase(),
  }));
  const groups = [...form.querySelectorAll("[data-group]")];
  const filter = form.querySelector("[data-filter]");
  const isOpen = ({ box }) => !box.disabled;

  const show = () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const each of rows) each.row.hidden = !words.every((word) => each.text.includes(word));
    for (const group of groups) group.hidden = !group.querySelector("[data-row]:not([hidden])");
    form.querySelector("[data-nothing]").hidden = rows.some(({ row }) => !row.hidden);
  };
  const count = () => {
    const chosen = rows.filter((each) => isOpen(each) && each.box.checked).length;
    form.querySelector("[data-count]").textContent = chosen ? `(${chosen})` : "";
  };
  const tick = (isChecked, candidates) => {
    for (const { box } of candidates.filter(isOpen)) box.checked = isChecked;
    count();
  };

  filter.addEventListener("input", show);
  filter.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  form.addEventListener("change", count);
  form.querySelector("[data-all]").addEventListener("click", () => tick(true, rows.filter(({ row }) => !row.hidden)));
  form.querySelector("[data-none]").addEventListener("click", () => tick(false, rows));
  form.addEventListener("submit", () => {
    const chosen = rows.filter((each) => isOpen(each) && each.box.checked).map(({ box }) => box.value);
    form.elements.packed.value = JSON.stringify(chosen);
    for (const { box } of rows) box.removeAttribute("name"); // Django takes 1,000 fields at most
  });
  show();
  count();
}
