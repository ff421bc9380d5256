// Figures enlarge, and the panel reads its own tables: without scripts both are still there.
(() => {
  "use strict";
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };

  const enlarge = (figure, picture) => {
    const caption = figure.querySelector("figcaption");
    const name = caption?.querySelector("strong")?.textContent.replace(/:$/, "")
      || caption?.textContent.split(":")[0] || "figure";
    const button = make("button", { type: "button", className: "enlarge", textContent: "Enlarge" });
    button.setAttribute("aria-label", `Enlarge ${name}`);
    const line = caption?.querySelector(".exhibit-source");
    if (line) line.append(" · ", button); // under the picture: it must cover none of its marks
    else (caption || figure).append(" ", button);
    const open = () => {
      const close = make("button", { type: "button", textContent: "Close", autofocus: true });
      const inner = make("div", { className: "picture", tabIndex: 0 }, picture.cloneNode());
      inner.setAttribute("role", "region");
      inner.setAttribute("aria-label", name);
      const words = caption?.cloneNode(true);
      words?.querySelectorAll(".exhibit-source, button").forEach((one) => one.remove());
      const dialog = make("dialog", { className: "enlarged" }, close, inner,
        make("p", { textContent: words?.textContent.trim() || "" }));
      dialog.setAttribute("aria-label", name);
      close.addEventListener("click", () => dialog.close());
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
      dialog.addEventListener("close", () => dialog.remove());
      document.body.append(dialog);
      dialog.showModal();
    };
    button.addEventListener("click", open);
    picture.addEventListener("click", open);
  };
  // On a phone a picture keeps the size of its lettering and scrolls by itself: with the keyboard, too.
  const phone = window.matchMedia("(max-width: 36rem)");
  const scrolls = (line) => {
    if (!phone.matches) { line.removeAttribute("tabindex"); return; }
    line.tabIndex = 0;
    line.setAttribute("role", "group");
    line.setAttribute("aria-label", "Figure");
  };
  for (const picture of document.querySelectorAll("main figure img")) {
    enlarge(picture.closest("figure"), picture);
    scrolls(picture.parentElement);
    phone.addEventListener("change", () => scrolls(picture.parentElement));
  }

  // Each table: one hypothesis; each row: respondents, effect, and the shares in percent.
  const panel = (section) => {
    const tables = [...section.querySelectorAll("table[data-hypothesis]")];
    const rows = new Map(tables.map((table) => [table.dataset.hypothesis,
      [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent))]));
    const heads = [...tables[0].tHead.rows[0].cells].map((cell) => cell.textContent);
    const values = (column) => [...new Set(rows.values().next().value.map((row) => row[column]))];
    const controls = section.querySelector(".power-controls");
    const output = controls.querySelector("output");
    const chosen = make("select");
    for (const table of tables) chosen.append(make("option", { value: table.dataset.hypothesis, textContent: table.dataset.label }));
    controls.insertBefore(make("label", {}, "Hypothesis", chosen), output);

    const slider = (name, unit, column, start) => {
      const steps = values(column);
      const shown = make("span");
      const input = make("input", { type: "range", min: 0, max: steps.length - 1, step: 1 });
      input.value = Math.max(0, steps.indexOf(start));
      input.setAttribute("aria-label", name);
      controls.insertBefore(make("label", {}, name, shown, input), output);
      return { input, value: () => steps[input.valueAsNumber], show() {
        shown.textContent = `${this.value()} ${unit}`;
        input.setAttribute("aria-valuetext", shown.textContent);
      } };
    };
    const size = slider("Respondents analyzed", "respondents", 0, section.dataset.size);
    const effect = slider("True effect", "standard deviations", 1, section.dataset.effect);

    const show = () => {
      size.show();
      effect.show();
      const row = rows.get(chosen.value).find((one) => one[0] === size.value() && one[1] === effect.value());
      const bars = make("div", { className: "power-bar" });
      heads.slice(3).forEach((head, k) => {
        const bar = make("i");
        bar.style.setProperty("--share", parseFloat(row[k + 3]) / 100);
        bars.append(make("span", { textContent: head }), make("span", {}, bar), make("span", { textContent: row[k + 3] }));
      });
      output.replaceChildren(make("p", { textContent:
        `With ${size.value()} respondents and a true effect of ${effect.value()} standard deviations, `
        + `an effect is found in ${row[2]} of surveys. The chance of each verdict:` }), bars);
    };
    controls.addEventListener("input", show);
    controls.hidden = false;
    show();
  };
  document.querySelectorAll(".power-panel").forEach(panel);
})();
