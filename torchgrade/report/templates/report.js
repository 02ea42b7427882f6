"use strict";
// Sorting and filtering of the tables; the page is complete and readable without it.
function value(row, column) {
  const cell = row.cells[column];
  const key = cell.dataset.v;
  if (key === undefined) return cell.textContent.trim().toLowerCase();
  return key === "" ? null : Number(key);
}
function compare(a, b) {
  if (a === b) return 0;
  if (a === null) return 1; // what has no value comes last in either direction
  if (b === null) return -1;
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}
function sortBy(header) {
  const table = header.closest("table");
  const body = table.tBodies[0];
  const descending = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const keyed = Array.from(body.rows, (row) => [value(row, header.cellIndex), row]);
  keyed.sort((a, b) => {
    const order = compare(a[0], b[0]);
    return descending && a[0] !== null && b[0] !== null ? -order : order;
  });
  const sorted = document.createDocumentFragment();
  for (const pair of keyed) sorted.append(pair[1]);
  body.append(sorted);
  table.dispatchEvent(new Event("sorted"));
}
for (const header of document.querySelectorAll("th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => sortBy(header));
}
const LIMIT = 300; // rows laid out at once: a class of thousands stays quick
function filter(form) {
  const table = document.getElementById(form.dataset.table);
  const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const chosen = form.elements.choice.value;
  const section = form.elements.section ? form.elements.section.value : "";
  const rows = table.tBodies[0].rows;
  const limit = form.dataset.all ? Infinity : LIMIT;
  let hits = 0;
  for (const row of rows) {
    const text = row.dataset.text;
    const hit = words.every((word) => text.includes(word)) && (!chosen || row.dataset.choice.split(" ").includes(chosen))
      && (!section || row.dataset.section === section);
    hits += hit ? 1 : 0;
    row.hidden = !hit || hits > limit;
  }
  form.querySelector("[role=status]").textContent =
    form.dataset.shown.replace("{count}", Math.min(hits, limit)).replace("{all}", rows.length);
  form.querySelector("button").hidden = hits <= limit;
}
for (const form of document.querySelectorAll("form[data-table]")) {
  const all = (wanted) => {
    form.dataset.all = wanted ? "yes" : "";
    filter(form);
  };
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  for (const kind of ["input", "change"]) form.addEventListener(kind, () => filter(form));
  form.querySelector("button").addEventListener("click", () => all(true));
  window.addEventListener("beforeprint", () => all(true));
  document.getElementById(form.dataset.table).addEventListener("sorted", () => filter(form));
  filter(form);
}
window.addEventListener("beforeprint", () => {  // on paper nothing can be opened
  for (const part of document.querySelectorAll("details")) part.open = true;
});
document.documentElement.classList.add("ready");
