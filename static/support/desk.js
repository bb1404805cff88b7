// The few things of the desk that HTML cannot do: `/` to search, one press is one act, before -> after while typing.
"use strict";

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  const box = document.getElementById("pd-search-box");
  if (event.key === "/" && !typing && box && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    event.stopImmediatePropagation();
    box.focus();
    box.select();
  }
  if (event.key === "Escape" && event.target === box) {
    document.getElementById("pd-hits").replaceChildren();
    box.blur();
  }
  const links = [...document.querySelectorAll("#pd-hits .pd-hit")];
  if ((event.key === "ArrowDown" || event.key === "ArrowUp") && links.length && event.target.closest(".pd-search")) {
    event.preventDefault();
    const place = links.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
    (place < 0 ? box : links[Math.min(place, links.length - 1)]).focus();
  }
}, true);

// Keys of the desk: each presses a link that is there. They can be switched off, for who speaks to their computer (WCAG 2.1.4).
const keysOn = () => localStorage.getItem("pd-keys") !== "off";
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable], dialog");
  if (typing?.checkVisibility() || event.ctrlKey || event.metaKey || event.altKey) return;  // a sheet just closed may keep the focus for a moment
  if (!keysOn()) return;
  if (event.key === "?") { event.preventDefault(); document.getElementById("pd-keys")?.showModal(); return; }
  const tab = /^[1-8]$/.test(event.key) ? document.querySelectorAll(".pd-tab")[Number(event.key) - 1] : null;
  const wanted = tab || (/^[a-z]$/.test(event.key) ? document.querySelector(`[data-key="${event.key}"]`) : null);
  if (wanted) { event.preventDefault(); wanted.matches("input") ? wanted.focus() : wanted.click(); }
  else if (event.key === "s") location.assign("/admin/");
});
document.addEventListener("click", (event) => { if (event.target.closest("[data-keys-open]")) document.getElementById("pd-keys").showModal(); });
document.addEventListener("change", (event) => { if (event.target.matches("[data-keys-on]")) localStorage.setItem("pd-keys", event.target.checked ? "on" : "off"); });
document.addEventListener("DOMContentLoaded", () => { const box = document.querySelector("[data-keys-on]"); if (box) box.checked = keysOn(); });

// A phone has room for "Switch" only when there is something to switch to.
document.addEventListener("change", ({ target }) => { if (target.matches("#pd-tenant-box")) target.form.classList.toggle("pd-tenant-chosen", !target.selectedOptions[0].defaultSelected); });

// A menu closes when somebody looks elsewhere.
document.addEventListener("click", (event) => document.querySelectorAll(".pd-menu[open]").forEach((menu) => menu.contains(event.target) || menu.removeAttribute("open")));

document.addEventListener("click", (event) => {
  const hits = document.getElementById("pd-hits");
  if (hits && !event.target.closest(".pd-search")) hits.replaceChildren();
});

// Pressing twice does it once: the server knows the form's token; the button only says that it was heard.
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-once]");
  if (form) setTimeout(() => form.querySelector("button:not([type=button])")?.setAttribute("disabled", ""), 0);
});
window.addEventListener("pageshow", () => document.querySelectorAll("form[data-once] button[disabled]").forEach((button) => button.removeAttribute("disabled")));

function showAfter() {
  const table = document.querySelector("[data-before-available]");
  const input = document.querySelector("input[name=points]");
  if (!table || !input) return;
  const number = (name) => Number(table.dataset[name]);
  const { verb } = table.dataset;
  const gives = table.dataset.signed === undefined;
  const wanted = Math.trunc(Number(input.value) || 0);
  const points = gives ? Math.max(0, wanted) : wanted;
  const paid = Math.max(0, Math.min(number("beforeOwed"), points));
  const short = Math.max(0, -points - number("beforeAvailable"));
  const owing = document.querySelector("input[name=allow_debt]")?.checked ? short : 0;
  const after = {
    available: Math.max(0, number("beforeAvailable") + points - paid), held: number("beforeHeld"), owed: number("beforeOwed") - paid + owing,
  };
  after.closing = after.available + after.held - after.owed;
  for (const [name, value] of Object.entries(after)) {
    table.querySelector(`[data-after=${name}]`).textContent = value.toLocaleString("en");
  }
  const what = points > 0 && !gives ? `+${points.toLocaleString("en")}` : points.toLocaleString("en").replace("-", "−");
  const act = document.querySelector("[data-act]");
  act.dataset.idle ??= act.textContent;
  act.textContent = points ? `${verb} ${what} ${table.dataset.unit}` : act.dataset.idle;
}
document.addEventListener("input", showAfter);
document.addEventListener("DOMContentLoaded", showAfter);

// The browser forgets its own autofocus when scripts have moved the focus meanwhile.
// Whoever types already stays where they are: the rest of their words would go into another field.
window.addEventListener("load", () => {
  if (!document.activeElement?.matches("input, textarea, select")) document.querySelector("[autofocus]")?.focus();
});

// The admin's list of buttons holds no list items; to a reader it is no list then.
document.addEventListener("DOMContentLoaded", () => {
  for (const list of document.querySelectorAll("ul.object-tools")) if (!list.querySelector(":scope > li")) list.setAttribute("role", "presentation");
});

// A table that scrolls inside itself can be reached by keyboard (WCAG 2.1.1).
function reachTables() {
  for (const room of document.querySelectorAll(".pd-scroll:not([tabindex])")) {
    if (room.scrollWidth > room.clientWidth && !room.querySelector("a, button, input, summary")) room.setAttribute("tabindex", "0");
  }
}
for (const moment of ["DOMContentLoaded", "htmx:afterSettle"]) document.addEventListener(moment, reachTables);
window.addEventListener("load", reachTables);
window.addEventListener("resize", reachTables);

// Fields in the rows of the admin's tables have no labels of their own: the column's heading is theirs.
function nameFields() {
  for (const field of document.querySelectorAll("td :is(input:not([type=hidden]), select, textarea)")) {
    if (field.labels?.length || field.getAttribute("aria-label")) continue;
    const heading = field.closest("table")?.querySelectorAll("thead th")[field.closest("td").cellIndex]?.textContent.trim();
    field.setAttribute("aria-label", heading || field.name);
  }
}
document.addEventListener("DOMContentLoaded", nameFields);
document.addEventListener("formset:added", nameFields);

// A file's SHA-256, reckoned here: the file itself is not sent.
document.addEventListener("change", async (event) => {
  const input = event.target.closest("input[type=file][data-sha256-into]");
  if (!input?.files.length) return;
  const told = document.querySelector("[data-sha256-told]");
  told.hidden = false;
  let digest;
  try {
    digest = await crypto.subtle.digest("SHA-256", await input.files[0].arrayBuffer());
  } catch {  // no HTTPS, or a file that does not fit here
    told.textContent = told.dataset.sha256Told;
    return;
  }
  document.getElementById(input.dataset.sha256Into).value = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  told.hidden = true;
  input.form.requestSubmit();
});
