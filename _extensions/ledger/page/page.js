// The table of contents follows the reader; on a narrow screen it starts folded.
(() => {
  "use strict";
  const contents = document.querySelector("nav.contents details");
  if (!contents) return;
  contents.classList.add("follows");
  const wide = window.matchMedia("(min-width: 68rem)");
  const fold = () => { contents.open = wide.matches; };
  wide.addEventListener("change", fold);
  fold();

  const links = new Map();
  for (const link of contents.querySelectorAll('a[href^="#"]')) {
    const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (target) links.set(target, link);
  }
  let current = null;
  const follow = () => {
    let found = null;
    for (const [target, link] of links) {
      if (target.getBoundingClientRect().top < window.innerHeight * 0.3) found = link;
    }
    if (found === current) return;
    current?.removeAttribute("aria-current");
    found?.setAttribute("aria-current", "true");
    if (wide.matches) found?.scrollIntoView({ block: "nearest" });
    current = found;
  };
  let waiting = false;
  window.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; follow(); });
  }, { passive: true });
  follow();
})();

// A footnote or a reference shows beside its mark, on hover and on focus; Escape puts it away.
(() => {
  "use strict";
  if (!("popover" in HTMLElement.prototype)) return;
  const card = Object.assign(document.createElement("div"), { id: "note-card", className: "note-card", popover: "manual" });
  card.setAttribute("role", "tooltip");
  document.body.append(card);
  let mark = null;
  let leaving = 0;

  const hide = () => {
    clearTimeout(leaving);
    mark?.removeAttribute("aria-describedby");
    mark = null;
    if (card.matches(":popover-open")) card.hidePopover();
  };
  const show = (link, target) => {
    clearTimeout(leaving);
    if (mark === link) return;
    hide();
    const note = target.cloneNode(true);
    note.querySelectorAll(".footnote-back").forEach((back) => back.remove());
    note.querySelectorAll("a").forEach((inner) => inner.replaceWith(...inner.childNodes));
    note.querySelectorAll("[id]").forEach((inner) => inner.removeAttribute("id"));
    card.replaceChildren(...note.childNodes);
    mark = link;
    link.setAttribute("aria-describedby", card.id);
    card.showPopover();
    const at = link.getClientRects()[0];
    const below = at.bottom + card.offsetHeight + 12 < window.innerHeight || at.top < card.offsetHeight + 12;
    const left = Math.min(at.left, document.documentElement.clientWidth - card.offsetWidth - 12);
    const top = below ? at.bottom + 6 : at.top - card.offsetHeight - 6;
    card.style.left = `${Math.max(12, left) + window.scrollX}px`;
    card.style.top = `${top + window.scrollY}px`;
  };
  const soon = () => { leaving = setTimeout(hide, 250); };

  for (const link of document.querySelectorAll('a.footnote-ref, main a[href^="#ref-"]')) {
    const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (!target) continue;
    link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show(link, target));
    link.addEventListener("pointerleave", soon);
    link.addEventListener("focus", () => link.matches(":focus-visible") && show(link, target));
    link.addEventListener("blur", hide);
  }
  card.addEventListener("pointerenter", () => clearTimeout(leaving));
  card.addEventListener("pointerleave", soon);
  document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
})();
