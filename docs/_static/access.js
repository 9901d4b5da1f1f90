/* What the theme leaves out for keyboards and screen readers. */
for (const box of document.querySelectorAll("pre, .table-wrapper")) {
  if (box.scrollWidth > box.clientWidth) box.tabIndex = 0; // so that the arrow keys scroll it
}
for (const caption of document.querySelectorAll("p.caption[role=heading]")) caption.ariaLevel = 2;
document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "All pages");
