"use strict";
// The value under the pointer, or under the arrow keys; and tables that sort by the head that is pressed.
for (const plot of document.querySelectorAll(".plot")) {
  const rows = JSON.parse(plot.querySelector("script").textContent);
  const cursor = plot.querySelector(".cursor");
  const tip = plot.querySelector(".tip");
  let chosen = -1;
  const show = (index) => {
    chosen = Math.min(rows.at.length - 1, Math.max(0, index));
    const at = rows.at[chosen];
    const cells = rows.rows[chosen];
    cursor.setAttribute("x1", at * 1000);
    cursor.setAttribute("x2", at * 1000);
    cursor.style.visibility = "visible";
    tip.replaceChildren();
    const head = document.createElement("b");
    head.textContent = cells[0];
    tip.append(head);
    cells.slice(1).forEach((cell, column) => {
      const line = document.createElement("span");
      const value = document.createElement("em");
      line.textContent = rows.head[column + 1];
      value.textContent = cell;
      line.append(value);
      tip.append(line);
    });
    tip.style.visibility = "visible";
    tip.style.left = at < 0.55 ? `calc(${at * 100}% + .6rem)` : "auto";
    tip.style.right = at < 0.55 ? "auto" : `calc(${(1 - at) * 100}% + .6rem)`;
  };
  const hide = () => {
    cursor.style.visibility = tip.style.visibility = "hidden";
    chosen = -1;
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const at = (event.clientX - box.left) / box.width;
    let nearest = 0;
    rows.at.forEach((one, index) => {
      if (Math.abs(one - at) < Math.abs(rows.at[nearest] - at)) nearest = index;
    });
    if (rows.at.length) show(nearest);
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step || !rows.at.length) return;
    event.preventDefault();
    show(chosen < 0 ? (step > 0 ? 0 : rows.at.length - 1) : chosen + step);
  });
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? Number(cell.dataset.v) : cell.textContent.trim();
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [value(a, column), value(b, column)];
        const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
        return falling ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
