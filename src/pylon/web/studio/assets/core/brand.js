// @ts-check
// The mark.

const SVG = "http://www.w3.org/2000/svg";

export function brand() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 32 32");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("mark");
  const box = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ width: "32", height: "32", rx: "9" })) box.setAttribute(name, value);
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", "M9 22V9l7 4 7-4v13");
  svg.append(box, line);
  return svg;
}
