// Opens the card of a number or a verdict beside it.
// The card is the entry's row in the list "The ledger" plus the data's origin, from the ledger that
// is embedded in the page. Without scripts, or without popovers, the link leads to the row itself.
(() => {
  "use strict";
  const store = document.getElementById("ledger");
  if (!store || !("popover" in HTMLElement.prototype)) return;
  const ledger = JSON.parse(store.textContent);
  let opener = null;
  let wasOpen = null;
  let focusInside = false;

  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  const card = make("div", { id: "claim-card", className: "claim-card", popover: "auto", tabIndex: -1 });
  card.setAttribute("role", "dialog");
  card.setAttribute("aria-labelledby", "claim-card-title");
  document.body.append(card);

  const dataLine = ({ data, status }) =>
    `${data.file} (${status}), SHA-256 ${String(data.sha256).slice(0, 16)}…`;

  const draw = (id) => {
    const entry = ledger.entries[id];
    const facts = document.getElementById(`claim-${id}`).cloneNode(true);
    facts.removeAttribute("id");
    if (!entry.source && entry.status !== "public") {
      facts.append(make("dt", { textContent: "Data" }), make("dd", { textContent: dataLine(ledger.header) }));
    }
    if (entry.notebook) {
      const from = entry.source ? ` --external ${entry.source}=FILE` : "";
      facts.append(make("dt", { textContent: "Re-run" }), make("dd", {}, make("code", {
        textContent: `claimledger build --notebook ${entry.notebook}${from}` })));
    }
    const close = make("button", { type: "button", textContent: "×" });
    close.setAttribute("aria-label", "Close");
    close.addEventListener("click", () => card.hidePopover());
    const title = make("p", { id: "claim-card-title", className: "claim-card-title" },
      make("code", { textContent: id }), " ", entry.label || "");
    card.replaceChildren(close, title, facts);
  };

  // On the side of the link that has more room, and no taller than that room; on a narrow screen
  // the style sheet takes over.
  const place = (link) => {
    const at = link.getClientRects()[0];
    const below = window.innerHeight - at.bottom > Math.min(at.top, card.offsetHeight + 20);
    const room = (below ? window.innerHeight - at.bottom : at.top) - 20;
    card.style.setProperty("--room", `${Math.max(room, 160)}px`);
    const left = Math.min(at.left, document.documentElement.clientWidth - card.offsetWidth - 12);
    const top = below ? at.bottom + 8 : at.top - card.offsetHeight - 8;
    card.style.setProperty("--left", `${Math.max(12, left) + window.scrollX}px`);
    card.style.setProperty("--top", `${top + window.scrollY}px`);
  };

  const open = (link) => {
    card.style.removeProperty("--room");
    draw(decodeURIComponent(link.hash).slice("#claim-".length));
    opener = link;
    card.showPopover();
    place(link);
    link.setAttribute("aria-expanded", "true");
    card.focus({ preventScroll: true });
  };

  const leave = () => {
    card.hidePopover();
    opener.focus();
  };

  for (const link of document.querySelectorAll("a.claim")) {
    link.setAttribute("aria-haspopup", "dialog");
    link.setAttribute("aria-expanded", "false");
    link.addEventListener("pointerdown", () => {
      wasOpen = opener === link && card.matches(":popover-open");
    });
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      if (!wasOpen) open(link);
      else card.hidePopover();
      wasOpen = false;
    });
    link.addEventListener("keydown", (event) => {
      if (event.key !== " ") return;
      event.preventDefault();
      open(link);
    });
  }

  card.addEventListener("beforetoggle", (event) => {
    if (event.newState === "open") return;
    focusInside = card.contains(document.activeElement);
    opener.setAttribute("aria-expanded", "false");
  });
  card.addEventListener("toggle", (event) => {
    if (event.newState === "closed" && focusInside) opener.focus({ preventScroll: true });
  });
  // The card stands at the end of the page: Tab past its ends leads back to the link.
  card.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") return;
    const stops = [...card.querySelectorAll("a, button")];
    const end = event.shiftKey ? [card, stops[0]] : [stops.at(-1)];
    if (!end.includes(document.activeElement)) return;
    event.preventDefault();
    leave();
  });
})();
