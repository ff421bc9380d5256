// The table of contents follows the reader; on a narrow screen it starts folded.
(() => {
  "use strict";
  const contents = document.querySelector("nav.contents details");
  if (!contents) return;
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
