"use strict";
(() => {
  // Numbers of what the mouse or the keyboard points at.
  const tip = document.getElementById("tip");
  let shown = null;
  const hide = () => { tip.hidden = true; shown = null; };
  const show = (spot) => {
    shown = spot;
    tip.textContent = spot.dataset.tip;
    tip.hidden = false;
    const at = spot.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const left = Math.min(Math.max(at.left, 8), innerWidth - own.width - 8);
    const below = at.bottom + 6;
    const top = below + own.height < innerHeight ? below : Math.max(at.top - own.height - 6, 4);
    tip.style.left = `${Math.max(left, 4)}px`;
    tip.style.top = `${top}px`;
  };
  const pointed = (event) => {
    const spot = event.target.closest?.("[data-tip]");
    if (spot) show(spot); else hide();
  };
  document.addEventListener("mouseover", pointed);
  document.addEventListener("focusin", pointed);
  document.addEventListener("focusout", hide);
  // Moving the focus may scroll the page: then the tip goes with its cell.
  const scrolled = () => {
    if (!shown) return;
    if (shown === document.activeElement || shown.matches(":hover")) show(shown); else hide();
  };
  addEventListener("scroll", scrolled, { passive: true, capture: true });

  // A grid is one stop of the Tab key; the arrow keys move within it.
  const spots = (row) => [...row.querySelectorAll("td[data-tip]")];
  const enter = (table) => { table.querySelector("tbody td[data-tip]")?.setAttribute("tabindex", "0"); };
  document.querySelectorAll("table.grid").forEach(enter);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const spot = event.target.closest?.("table.grid td[data-tip]");
    if (!spot) return;
    const rows = [...spot.closest("tbody").rows], row = rows.indexOf(spot.parentElement);
    const column = spots(rows[row]).indexOf(spot);
    const moves = {
      ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column],
      Home: [row, 0], End: [row, spots(rows[row]).length - 1],
    };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    const line = rows[Math.min(Math.max(move[0], 0), rows.length - 1)];
    const cells = spots(line);
    const next = cells[Math.min(Math.max(move[1], 0), cells.length - 1)];
    if (!next) return;
    spot.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });

  // Tokens in colours: by which of their numbers, and the arrow keys from one to the next.
  const coloured = document.querySelector(".coloured");
  document.getElementById("measure")?.addEventListener("change", (event) => {
    coloured.className = `coloured by-${event.target.value}`;
  });
  coloured?.addEventListener("keydown", (event) => {
    const text = event.target.closest(".text"), step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!text || !step) return;
    event.preventDefault();
    const all = [...text.querySelectorAll("[data-tip]")], at = all.indexOf(event.target);
    all[Math.min(Math.max(at + step, 0), all.length - 1)]?.focus();
  });

  // Attention: the maps come as rows of whole ten-thousandths, up to the last key that is seen.
  const data = JSON.parse(document.getElementById("data").textContent);
  if (!data || data.view !== "attention") return;
  const SCALE = 10000, names = data.tokens, count = names.length;
  const full = document.getElementById("map"), title = document.getElementById("map-title");
  const share = (value) => Math.sqrt(value / SCALE);
  const together = (values, kind) => kind === "max" ? Math.max(...values)
    : values.reduce((a, b) => a + b, 0) / values.length;
  // Shares of lengths, where a map has these, are put together as lengths.
  const size = (map, query) => map.totals ? map.totals[query] : 1;
  const mixed = (maps, kind) => {
    const before = maps[0].before.map((_, query) =>
      together(maps.map((map) => map.before[query] * size(map, query)), kind));
    const rows = maps[0].rows.map((row, query) => row.map((_, key) =>
      together(maps.map((map) => map.rows[query][key] * size(map, query)), kind)));
    if (!maps[0].totals) return { before, rows };
    const sums = rows.map((row, query) => (row.reduce((a, b) => a + b, before[query]) || 1) / SCALE);
    return {
      before: before.map((value, query) => value / sums[query]),
      rows: rows.map((row, query) => row.map((value) => value / sums[query])),
    };
  };
  // Tokens before the window have one column together.
  const columns = names.map((name, at) => [`${data.first + at} ${name}`, name]);
  if (data.first > 0) columns.unshift([`${data.first} tokens before`, "…"]);
  const extra = columns.length - count;
  const draw = (name, { rows, before }) => {
    title.textContent = name;
    const head = document.createElement("tr");
    head.append(document.createElement("td"));
    for (const [, text] of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      head.append(cell);
    }
    const body = rows.map((row, query) => {
      const line = document.createElement("tr"), label = document.createElement("th");
      label.scope = "row";
      label.textContent = `${data.first + query} ${names[query]}`;
      line.append(label);
      columns.forEach(([other], at) => {
        const key = at - extra, cell = document.createElement("td");
        const value = key < 0 ? before[query] : row[key] ?? 0;
        if (key > query) { cell.className = "empty"; line.append(cell); return; }
        cell.style.setProperty("--v", share(value).toFixed(3));
        cell.classList.toggle("hot", share(value) > 0.55);
        cell.classList.toggle("hotter", share(value) > 0.68);
        if (value >= 50) cell.textContent = Math.round(value / 100);
        cell.tabIndex = -1;
        cell.dataset.tip = `${data.first + query} ${names[query]} → ${other}\n`
          + `${(value / 100).toFixed(2)}%`;
        line.append(cell);
      });
      return line;
    });
    full.tHead.replaceChildren(head);
    full.tBodies[0].replaceChildren(...body);
    enter(full);
  };
  const style = getComputedStyle(document.documentElement);
  const canvas = (map) => {
    const found = document.createElement("canvas");
    found.width = found.height = count;
    const brush = found.getContext("2d");
    brush.fillStyle = style.getPropertyValue("--cold");
    brush.fillRect(0, 0, count, count);
    brush.fillStyle = style.getPropertyValue("--hot");
    map.rows.forEach((row, query) => row.forEach((value, key) => {
      brush.globalAlpha = share(value);
      brush.fillRect(key, query, 1, 1);
    }));
    return found;
  };
  const overview = document.getElementById("overview");
  const buttons = [];
  const choose = (button, name, map) => {
    buttons.forEach((each) => each.setAttribute("aria-pressed", String(each === button)));
    draw(name, map);
  };
  if (overview) {
    const layers = Map.groupBy ? Map.groupBy(data.maps, (map) => map.layer)
      : data.maps.reduce((all, map) => all.set(map.layer, [...(all.get(map.layer) ?? []), map]), new Map());
    const mixes = document.getElementById("mixes");
    for (const kind of ["mean", "max"]) {
      const button = document.createElement("button");
      button.textContent = `${kind} of all these heads`;
      button.addEventListener("click", () => choose(button, button.textContent, mixed(data.maps, kind)));
      buttons.push(button);
      mixes.append(button);
    }
    for (const [layer, maps] of layers) {
      const line = document.createElement("div"), name = document.createElement("span");
      line.className = "layer";
      name.className = "name";
      name.textContent = `layer ${layer}`;
      line.append(name);
      let group, last;
      for (const map of maps) {
        const number = Math.floor(map.head / data.group);
        if (number !== last) {
          group = document.createElement("span");
          group.className = "group";
          if (data.group > 1) group.title = `heads that share keys and values ${number}`;
          line.append(group);
          last = number;
        }
        const button = document.createElement("button");
        button.setAttribute("aria-label", map.name);
        button.dataset.tip = map.name;
        button.append(canvas(map));
        button.addEventListener("click", () => {
          choose(button, map.name, map);
          title.scrollIntoView({ block: "nearest" });
        });
        buttons.push(button);
        group.append(button);
      }
      overview.append(line);
    }
  }
  const first = data.maps[0];
  if (buttons.length) buttons[0].click(); else draw(first.name, first);
})();
