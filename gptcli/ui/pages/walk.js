// Layers to step through, and parts to switch off: numbers that were computed before.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  if (!data || data.view !== "explain") return;
  const { words } = data;
  const element = (name, kind, content) => {
    const found = document.createElement(name);
    if (kind) found.className = kind;
    if (content !== undefined) found.textContent = content;
    return found;
  };
  const bar = (share, kind) => {
    const found = element("span", `bar ${kind}`), filled = element("span");
    filled.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
    found.append(filled);
    return found;
  };
  const line = (token, ...columns) => {
    const found = element("div", "share"), name = element("bdi", "", token);
    found.append(name);
    for (const [share, told, kind] of columns) found.append(bar(share, kind), element("span", "told", told));
    return found;
  };
  const list = (title, shares) => {
    const found = element("div");
    found.append(element("h4", "", title), ...shares.map(([token, share, told]) => line(token, [share, told, ""])));
    return found;
  };
  const side = (each, name) => {
    const found = element("div", "side");
    if (name !== undefined) found.append(element("h4", "of", name));
    found.append(element("p", "quiet", each.facts));
    if (each.state) found.append(element("p", "", each.state));
    if (each.looks.length) found.append(list(words.looks, each.looks));
    found.append(list(words.says, each.says));
    return found;
  };
  // What comes next, beside what would without a part: tokens of both, each once.
  const next = (walk, block) => {
    const found = element("div", "compared");
    found.append(element("h3", "", words.next));
    const legend = element("p", "legend");
    legend.append(bar(1, "whole"), element("span", "", words.whole));
    if (block) legend.append(bar(1, "without"), element("span", "", block.without));
    found.append(legend);
    const byId = (shares) => new Map(shares.map(([token, share, told, id]) => [id, { token, share, told }]));
    const whole = byId(walk.says), without = byId(block ? block.off : []);
    const column = (one, kind) => one ? [one.share, one.told, kind] : [0, "–", kind];
    for (const id of new Set([...whole.keys(), ...without.keys()])) {
      const columns = [column(whole.get(id), "whole")];
      if (block) columns.push(column(without.get(id), "without"));
      found.append(line((whole.get(id) ?? without.get(id)).token, ...columns));
    }
    return found;
  };
  for (const section of document.querySelectorAll("section.walk")) {
    const walk = data.walks[Number(section.dataset.walk)], { layers } = walk;
    const slider = section.querySelector("input"), told = section.querySelector("output");
    const table = section.nextElementSibling?.matches("section.off") ? section.nextElementSibling : null;
    let at = layers.length - 1, off = null;
    const draw = () => {
      const layer = layers[at];
      slider.value = at;
      slider.setAttribute("aria-valuetext", layer.name);
      told.textContent = layer.name;
      for (const button of section.querySelectorAll("[data-step]")) {
        button.disabled = !layers[at + Number(button.dataset.step)];
      }
      const blocks = layer.blocks.map((block) => {
        const found = element("article"), head = element("h3", "", block.name);
        if (block.off) {
          const button = element("button", "switch", off === block ? words.on : words.off);
          button.type = "button";
          button.setAttribute("aria-pressed", String(off === block));
          button.addEventListener("click", () => {
            const place = layer.blocks.indexOf(block);
            off = off === block ? null : block;
            draw();
            section.querySelectorAll("article")[place].querySelector("button.switch").focus();
          });
          head.append(" ", button);
        }
        const sides = element("div", "sides");
        sides.append(...block.sides.map((each, which) => side(each, walk.names?.[which])));
        found.append(head, sides);
        return found;
      });
      section.querySelector(".blocks").replaceChildren(...blocks);
      section.querySelector(".next").replaceChildren(next(walk, off));
    };
    const go = (place) => {
      if (!layers[place]) return;
      // A part that is off stays off: what it is shows below.
      at = place;
      draw();
    };
    slider.addEventListener("input", () => go(Number(slider.value)));
    section.addEventListener("click", (event) => {
      const button = event.target.closest("[data-step]");
      if (button) go(at + Number(button.dataset.step));
    });
    section.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || event.target === slider || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      go(at + step);
    });
    // A cell of the table leads to its part, switched off.
    const choose = (cell) => {
      const row = [...table.querySelectorAll("tbody tr")].indexOf(cell.parentElement);
      const name = cell.parentElement.querySelector("th").textContent;
      const place = [...cell.parentElement.querySelectorAll("td")].indexOf(cell);
      const block = layers[place]?.blocks.find((each) => each.name === name && each.off);
      if (row < 0 || !block) return;
      [at, off] = [place, block];
      draw();
      section.scrollIntoView({ block: "start" });
    };
    table?.addEventListener("click", (event) => {
      const cell = event.target.closest("tbody td");
      if (cell) choose(cell);
    });
    table?.addEventListener("keydown", (event) => {
      const cell = event.target.closest("tbody td");
      if (!cell || (event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      choose(cell);
    });
    section.hidden = false;
    draw();
  }
  // Without a focus anywhere, the keys are for the first walk that is in view.
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: "-1", ArrowRight: "1" }[event.key];
    if (!step || event.target !== document.body || event.altKey || event.ctrlKey || event.metaKey) return;
    for (const section of document.querySelectorAll("section.walk")) {
      const box = section.getBoundingClientRect();
      if (box.bottom < 0 || box.top > innerHeight) continue;
      section.querySelector(`[data-step="${step}"]`).click();
      return;
    }
  });
})();
