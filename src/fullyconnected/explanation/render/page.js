"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const steps = all("article");
  const [title, inside] = document.getElementById("panel").children;
  const slider = document.getElementById("slider");
  const at = document.getElementById("at");
  const mark = document.getElementById("mark");
  const said = document.getElementById("said");
  const svgs = all("figure svg");
  let step = 1;
  let quantity = "";

  for (const element of all(".scripted")) element.hidden = false;
  for (const article of steps) article.removeAttribute("id"); // an address now opens the panel instead of the article

  // the quantities that can be marked, in the order of the page
  const places = new Map();
  for (const element of all("[data-q]")) {
    const name = element.dataset.q;
    const number = name.endsWith("]") || name === "L";
    const shape = element.closest("svg") && element.tagName !== "text"; // the text of a shape is a description
    if (!places.get(name)) places.set(name, shape || !number ? "" : element.textContent);
  }
  for (const [name, text] of places) mark.append(new Option(name.replace("dL:", "dL/d ") + (text ? " = " + text : ""), name));

  // a region that scrolls must be reachable by keyboard
  const reach = () => {
    const wide = new Set(all(".scroll").filter((element) => element.scrollWidth > element.clientWidth));
    for (const element of all(".scroll")) {
      if (wide.has(element)) {
        element.tabIndex = 0;
        element.setAttribute("role", "group");
        element.setAttribute("aria-label", "scrolls sideways");
      } else {
        element.removeAttribute("tabindex");
        element.removeAttribute("role");
        element.removeAttribute("aria-label");
      }
    }
  };

  const write = () => {
    const hash = "#step=" + step + (quantity ? "&q=" + encodeURIComponent(quantity) : "");
    if (location.hash !== hash) history.replaceState(null, "", hash);
  };

  const show = (number, keep) => {
    step = Math.min(steps.length, Math.max(1, Math.trunc(number)));
    slider.value = step;
    at.textContent = step;
    const source = steps[step - 1];
    slider.setAttribute("aria-valuetext", source.querySelector("h4").textContent);
    const copy = source.cloneNode(true);
    for (const element of all("[id]", copy)) element.removeAttribute("id");
    const heading = copy.querySelector("h4");
    heading.remove();
    title.replaceChildren(...heading.childNodes); // the element stays, so that screen readers announce its new text
    inside.replaceChildren(...copy.childNodes);
    for (const button of all("[data-step]")) {
      if (button.dataset.phase === source.dataset.phase) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    const now = source.dataset.result;
    for (const svg of svgs)
      for (const element of all("[data-q]", svg)) {
        const name = element.dataset.q;
        element.classList.toggle("now", name === now || name.startsWith(now + "["));
      }
    paint();
    reach();
    if (!keep) write();
  };

  // if a neuron is chosen, everything except its weights and the neurons at their other ends is dimmed
  const focus = () => {
    for (const svg of all("#network svg")) {
      const chosen = all("[data-unit]", svg).find((unit) => quantity && unit.dataset.q === quantity);
      const near = new Set(chosen ? [chosen.dataset.unit] : []);
      const words = new Set([quantity]);
      for (const edge of all("[data-ends]", svg)) {
        const ends = edge.dataset.ends.split(" ");
        const touches = !chosen || ends.includes(chosen.dataset.unit);
        edge.classList.toggle("far", !touches);
        if (touches && chosen) ends.forEach((end) => near.add(end));
        if (touches) words.add(edge.dataset.q);
      }
      for (const unit of all("[data-unit]", svg)) {
        unit.parentNode.classList.toggle("far", Boolean(chosen) && !near.has(unit.dataset.unit));
        if (near.has(unit.dataset.unit)) words.add(unit.dataset.q);
      }
      for (const text of all("text[data-q]", svg))
        text.classList.toggle("far", Boolean(chosen) && !words.has(text.dataset.q.replace("dL:", "")));
    }
  };

  const paint = () => {
    focus();
    for (const element of all(".marked")) element.classList.remove("marked");
    if (!quantity) return 0;
    // to mark an array, mark all of its numbers; a number is also marked in an array that is drawn as a whole
    const same = (name) => name === quantity || name.startsWith(quantity + "[") || quantity.startsWith(name + "[");
    const found = all("[data-q]").filter((element) => same(element.dataset.q));
    for (const element of found) element.classList.add("marked");
    return found.length;
  };

  const choose = (name, keep) => {
    quantity = places.has(name) ? name : "";
    mark.value = quantity;
    const count = paint();
    said.textContent = quantity ? mark.selectedOptions[0].textContent + ", marked in " + count + " places" : "";
    if (!keep) write();
  };

  const read = () => {
    const found = new URLSearchParams(location.hash.slice(1));
    if (!found.has("step")) return; // a link within the page
    show(Number(found.get("step")) || 1, true);
    choose(found.get("q") || "", true);
  };

  slider.addEventListener("input", () => show(Number(slider.value)));
  mark.addEventListener("change", () => choose(mark.value));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) {
      const go = { first: 1, back: step - 1, on: step + 1, last: steps.length }[button.dataset.go];
      show(go === undefined ? Number(button.dataset.step) : go);
      return;
    }
    const chosen = event.target.closest("[data-q]");
    if (chosen) choose(chosen.dataset.q === quantity ? "" : chosen.dataset.q);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("select, input, [tabindex]")) return; // these use the arrow keys themselves
    const go = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 1, End: steps.length }[event.key];
    if (go === undefined) return;
    event.preventDefault();
    show(go);
  });
  const radios = all("input[name=show]");
  const layer = () => {
    for (const picture of all("[data-show]")) picture.hidden = !radios.some((r) => r.checked && r.value === picture.dataset.show);
    reach();
  };
  for (const radio of radios) radio.addEventListener("change", layer);
  layer();
  addEventListener("hashchange", read);
  addEventListener("resize", reach);
  show(1, true);
  read();
  if (location.hash.startsWith("#step=")) {
    const now = document.getElementById("now"); // beside the picture, or below it
    (now.getBoundingClientRect().top > innerHeight / 2 ? now : document.body).scrollIntoView();
  }
})();
