// A click on a heading sorts its table: numbers by value, missing ones last. Without script the tables stay as written.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  for (const heading of table.tHead.rows[0].cells) {
    if (!heading.textContent.trim()) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const column = heading.cellIndex;
      const rows = [...body.rows].map((row) => [row, read(row.cells[column])]);
      const isNumeric = rows.every(([, value]) => value === "" || !Number.isNaN(numberIn(value)));
      const before = heading.getAttribute("aria-sort");
      // Large numbers first, words from A; a second click turns the order around.
      const sign = before ? (before === "ascending" ? -1 : 1) : isNumeric ? -1 : 1;
      rows.sort(([, one], [, other]) => {
        if (one === "" || other === "") return (one === "") - (other === "");
        return sign * (isNumeric ? numberIn(one) - numberIn(other) : one.localeCompare(other));
      });
      for (const cell of heading.parentNode.cells) cell.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      body.append(...rows.map(([row]) => row));
    });
  }
}

// What is folded is printed too.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not([open])")) {
    folded.open = true;
    addEventListener("afterprint", () => { folded.open = false; }, { once: true });
  }
});

function read(cell) {
  const text = cell.textContent.trim();
  return text === "–" ? "" : text;
}

function numberIn(text) {
  return parseFloat(text.replaceAll(",", "").replace(/^[<+] ?/, ""));
}
