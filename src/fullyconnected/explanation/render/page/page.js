"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const at = (id) => document.getElementById(id);
  const steps = all("article");
  const [title, inside] = at("panel").children;
  const [slider, find, said, readout, picture] = ["slider", "find", "said", "readout", "picture"].map(at);
  const playing = document.querySelector("[data-go=play]");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const base = (q) => q.replace(/\[[\d,]*\]$/, "");
  const axis = Number(at("panel").dataset.axis); // along which the samples lie: 0, or -1, the last
  const inRow = (q, r) => q.replace(/\[([\d,]+)\]$/, (_, at) => "[" + at.split(",").with(axis, r) + "]");
  const values = JSON.parse(at("values")?.textContent || '{"listed":[],"rows":{},"others":{},"names":{}}');

  // as the page calls it: dL/dW1[0,1] for dL:dense_1.W[0,1], and m_W1 for dense_1.W:m
  const named = (q) => {
    const [, of, whole, fresh, at] = /^(?:d(\w):)?(.*?)(_new)?(\[[\d,]*\])?$/.exec(q);
    const [owner, part] = whole.split(":");
    const name = (part ? part + "_" : "") + (values.names[owner] || owner);
    return (of ? "d" + of + "/d" : "") + name + (fresh || "") + (at || "");
  };
  let step = 1;
  let quantity = "";
  let row = picture ? Number(picture.dataset.row) : 0;
  let timer = 0;
  let caption = readout ? readout.textContent : "";

  for (const element of all(".scripted")) element.hidden = false;
  for (const article of steps) article.removeAttribute("id"); // an address now opens the panel instead of the article

  // --- what is known of each quantity ------------------------------------------------------------------------------

  const made = new Map(); // the step that computes it; what is given is not there
  const byRow = new Set(); // those whose entries belong to one row each
  for (const source of all("article, #given [data-result]")) {
    const name = source.dataset.result;
    if (source.tagName === "ARTICLE" && !made.has(name)) made.set(name, steps.indexOf(source) + 1);
    if (source.dataset.rows !== undefined) byRow.add(name);
  }
  const texts = new Map(); // the digits of each number
  const places = new Map(); // where each quantity stands, in the document and in the pictures
  for (const element of all("[data-q]")) {
    const q = element.dataset.q;
    const number = element.closest("article, #given, #check");
    if (number && !texts.has(q)) texts.set(q, element.textContent.replace("\u00b710", "e").replace(/\u2212/g, "-"));
    if (!places.has(base(q))) places.set(base(q), []);
    places.get(base(q)).push(element);
  }
  for (const [name, units] of Object.entries(values.rows))
    for (const [unit, row] of Object.entries(units))
      row.forEach((text, k) => {
        const r = values.listed[k];
        texts.set(name + "[" + (unit === "" ? [r] : axis ? [unit, r] : [r, unit]) + "]", text);
      });
  for (const [name, entries] of Object.entries(values.others))
    for (const [at, text] of Object.entries(entries)) texts.set(at === "" ? name : name + "[" + at + "]", text);
  const renewed = new Set([...texts.keys()].map(base).filter((name) => name.endsWith("_new") && !made.has(name)));

  // what runs again after the update is known with the new loss; the gradient of L itself, 1, with the loss
  const known = (name) => (made.get(renewed.has(name) ? "L_new" : name === "dL:L" ? "L" : name) || 0) <= step;
  const newest = (q) => {
    const fresh = q.replace(base(q), base(q) + "_new");
    return texts.has(fresh) && known(base(fresh)) ? fresh : q;
  };
  const brief = (text) => {
    const value = Number(text);
    if (!text || !Number.isFinite(value)) return text;
    const [mantissa, power] = value.toExponential(2).split("e");
    const size = Math.abs(Number(mantissa + "e" + power));
    if (size === 0) return "0";
    if (size >= 1e3 && size < 1e6) return value.toFixed(0);
    return size >= 1e-3 && size < 1e3 ? String(Number(value.toPrecision(3))) : Number(mantissa) + "e" + Number(power);
  };

  // --- the picture -------------------------------------------------------------------------------------------------

  const drawn = picture
    ? all("[data-q]", picture).map((element) => ({
        element,
        name: base(element.dataset.q),
        number: element.tagName === "text",
        line: element.dataset.ends !== undefined,
        weight: element.dataset.kind === "weight",
        own: element.tagName === "text" ? element.textContent : element.getAttribute("stroke-width"),
      }))
    : [];
  const sizes = drawn.filter((each) => each.weight).map(({ element }) => Math.abs(texts.get(element.dataset.q)));
  const largest = Math.max(...sizes.filter(Number.isFinite)) || 1; // where paths are shown, lines are as thick as those
  const thick = (text) => (text && Number.isFinite(Number(text)) ? 0.8 + 2.7 * Math.min(1, Math.abs(text) / largest) : 0.8);

  // the area of a mark is the size of its weight, and hollow ones are negative
  const mark = (matrix) => {
    const cells = all("path[data-q]", matrix);
    for (const group of all("g", matrix)) {
      const marks = ["", "", ""];
      for (const cell of cells) {
        const q = cell.dataset.q;
        if (base(q) !== group.dataset.q || (cell.dataset.dim === undefined) !== !group.hasAttribute("opacity")) continue;
        const [x, y] = cell.getAttribute("d").match(/[\d.]+/g).map((each) => Number(each) + 5.75);
        const value = Number(texts.get(newest(q)));
        const share = Math.min(1, Math.abs(value) / (Number(matrix.dataset.largest) || 1));
        const half = Math.max(0.6, 5 * Math.sqrt(share)) - (value < 0 ? 0.6 : 0);
        const side = 2 * Math.max(0.4, half);
        if (Number.isFinite(value)) marks[value < 0 ? 1 : 0] += `M${x - side / 2} ${y - side / 2}h${side}v${side}h-${side}z`;
        else marks[2] += `M${x - 3} ${y - 3}l6 6m-6 0l6-6`;
      }
      marks.forEach((d, k) => group.children[k].setAttribute("d", d));
    }
  };

  const units = picture ? all("[data-unit]", picture) : [];

  const stage = (source) => {
    const result = source.dataset.result;
    const read = new Set(source.dataset.reads.split("|"));
    const phase = source.dataset.phase;
    picture.dataset.phase = phase;
    for (const { element, name, number, line, weight, own } of drawn) {
      const fresh = name + "_new";
      // an optimizer's memory and a slope stand where their parameter stands
      const is = name === result || fresh === result;
      const own_step = result.startsWith(name + ":");
      const list = element.classList;
      if (line) {
        const now = newest(element.dataset.q);
        const turned = weight && now !== element.dataset.q;
        list.toggle("live", is || own_step || read.has(name) || result === "dL:" + name);
        list.toggle("minus", turned && Number(texts.get(now)) < 0);
        list.toggle("plus", turned && Number(texts.get(now)) >= 0);
        list.toggle("back", phase === "backward");
        if (weight && !at("paths")) element.setAttribute("stroke-width", turned ? thick(texts.get(now)) : own);
      } else {
        list.toggle("now", is);
        list.toggle("in", !is && (own_step || read.has(name) || (phase === "after" && read.has(fresh))));
        list.toggle(element.dataset.unit === undefined ? "later" : "pending", !known(name));
      }
      if (!number) continue;
      const q = element.dataset.q;
      const now = newest(q);
      const text = now !== q || byRow.has(name) ? brief(texts.get(now) ?? "") : own;
      if (element.textContent === text) continue;
      element.textContent = text;
      for (const [key, value] of [["textLength", 55.4], ["lengthAdjust", "spacingAndGlyphs"]]) {
        if (text.length > 8) element.setAttribute(key, value); // squeezed into its field
        else element.removeAttribute(key);
      }
    }
    all("[data-largest]", picture).forEach(mark);
    follow();
  };

  // what a step computes is brought into view where the picture is wider than its place
  const follow = () => {
    const now = drawn.filter(({ element }) => element.matches(".now, .live")).map(({ element }) => element.getBoundingClientRect());
    if (!now.length || picture.scrollWidth <= picture.clientWidth) return;
    const box = picture.getBoundingClientRect();
    const left = Math.min(...now.map((r) => r.left)) - box.left;
    const right = Math.max(...now.map((r) => r.right)) - box.left;
    if (left >= 0 && right <= box.width) return;
    picture.scrollTo({ left: picture.scrollLeft + (left + right - box.width) / 2, behavior: calm.matches ? "auto" : "smooth" });
  };

  const heading = picture?.querySelector("[data-kind=row]"); // in every language, its first number is that of the row

  const describe = (unit) => {
    const q = unit.dataset.q;
    if (!q || !byRow.has(base(q))) return;
    const names = [q.replace(".y[", ".z["), q].filter((name, i, both) => texts.has(name) && both.indexOf(name) === i);
    const said = names.flatMap((name) => [name, "dL:" + name]).filter((name) => texts.has(name));
    const called = unit.dataset.called ? unit.dataset.called + ": " : "";
    const text = called + said.map((name) => named(name) + " = " + texts.get(name)).join("; ");
    unit.querySelector("title").textContent = text;
    unit.setAttribute("aria-label", text);
  };

  const chooseRow = (number, keep) => {
    const choice = all("input[name=row]").find((each) => each.value === String(number));
    if (!choice) return;
    choice.checked = true;
    row = Number(number);
    for (const { element, name } of drawn) {
      if (byRow.has(name)) element.dataset.q = inRow(element.dataset.q, row);
    }
    for (const line of all(".rows [data-row]")) line.classList.toggle("shown", line.dataset.row === String(row));
    if (readout) readout.textContent = caption = caption.replace(/\d+/, row);
    if (heading) heading.textContent = heading.textContent.replace(/\d+/, row);
    units.forEach(describe);
    show(step, keep);
  };

  // --- the step ----------------------------------------------------------------------------------------------------

  const write = () => {
    const first = document.querySelector("input[name=row][checked]");
    const parts = ["step=" + step];
    if (quantity) parts.push("q=" + encodeURIComponent(quantity));
    if (first && Number(first.value) !== row) parts.push("row=" + row);
    const hash = "#" + parts.join("&");
    if (location.hash !== hash) history.replaceState(null, "", hash);
  };

  const show = (number, keep) => {
    step = Math.min(steps.length, Math.max(1, Math.trunc(number)));
    slider.value = step;
    at("at").textContent = step;
    const source = steps[step - 1];
    const copy = source.cloneNode(true);
    for (const element of all("[id]", copy)) element.removeAttribute("id");
    const heading = copy.querySelector("h4");
    slider.setAttribute("aria-valuetext", heading.textContent);
    heading.remove();
    title.replaceChildren(...heading.childNodes); // the element stays, so that screen readers announce its new text
    inside.replaceChildren(...copy.childNodes);
    const as = source.dataset.as;
    if (as && !inside.querySelector(".why")) {
      const words = document.createElement("p");
      const link = document.createElement("a");
      words.className = "why";
      link.href = "#step=" + as;
      link.textContent = as;
      words.append(at("panel").dataset.alike + " ", link);
      inside.append(words);
    }
    const read = new Set(source.dataset.reads.split("|"));
    for (const element of all("[data-q]", inside)) {
      const name = base(element.dataset.q);
      element.classList.toggle("now", name === source.dataset.result);
      element.classList.toggle("in", read.has(name));
      element.classList.toggle("row", byRow.has(name) && inRow(element.dataset.q, row) === element.dataset.q);
    }
    for (const button of all("[data-step]")) {
      if (button.dataset.phase === source.dataset.phase) button.setAttribute("aria-current", "step");
      else button.removeAttribute("aria-current");
    }
    if (picture) stage(source);
    paint();
    reach();
    if (!keep) write();
  };

  const play = (on) => {
    clearTimeout(timer);
    timer = 0;
    playing.classList.toggle("on", on);
    if (!playing.dataset.play) playing.dataset.play = playing.getAttribute("aria-label");
    playing.setAttribute("aria-label", on ? playing.dataset.stop : playing.dataset.play);
    playing.querySelector("path").setAttribute("d", on ? "M3 3h4v10H3zM9 3h4v10H9z" : "M4 2l9 6-9 6z");
    title.setAttribute("aria-live", on ? "off" : "polite"); // nobody wants to hear all of it
    if (!on) return;
    const wait = steps[step - 1].dataset.as === undefined ? 2000 : 800;
    timer = setTimeout(() => {
      const box = at("desk").getBoundingClientRect();
      const seen = !document.hidden && box.bottom > 0 && box.top < innerHeight;
      if (seen) show(step + 1);
      play(step < steps.length);
    }, wait / Number(at("speed").value));
  };

  // --- one number, marked everywhere -------------------------------------------------------------------------------

  const paint = () => {
    for (const element of all(".marked")) element.classList.remove("marked");
    if (!quantity) return 0;
    // to mark an array, mark all of its numbers; a number is also marked in an array that is drawn as a whole
    const same = (q) => q === quantity || q.startsWith(quantity + "[") || quantity.startsWith(q + "[");
    const near = [...(places.get(base(quantity)) || []), ...all("[data-q]", inside)];
    const found = near.filter((element) => same(element.dataset.q));
    for (const element of found) element.classList.add("marked");
    return found.length;
  };

  const exists = (q) => Boolean(q) && (places.has(q) || (places.get(base(q)) || []).some((e) => e.dataset.q === q) || texts.has(q));

  const choose = (q, keep) => {
    quantity = exists(q) ? q : "";
    const count = paint();
    find.value = quantity ? named(quantity) : "";
    said.textContent = quantity ? find.dataset.found + " " + count : "";
    if (quantity) tell(quantity);
    if (!keep) write();
  };

  // a quantity by its name, in full or as the page calls it, or by its digits, in full or as in a picture
  const lookUp = (wanted) => {
    const plain = (text) => text.replace(/\s/g, "").replace(/\u2212/g, "-").toLowerCase();
    const word = plain(wanted);
    const every = [...texts.keys(), ...places.keys()];
    return (
      every.find((q) => plain(named(q)) === word || plain(q) === word) ||
      every.find((q) => texts.has(q) && (brief(texts.get(q)) === word || texts.get(q) === word)) ||
      every.find((q) => plain(named(q)).startsWith(word)) ||
      every.find((q) => texts.has(q) && texts.get(q).startsWith(word))
    );
  };

  const search = () => {
    if (!find.value.trim()) return choose("");
    const hit = lookUp(find.value);
    if (hit) choose(hit);
    else said.textContent = find.dataset.none;
  };

  const tell = (q) => {
    if (!readout) return;
    const of = [newest(q), "dL:" + q].filter((name) => texts.has(name) && known(base(name)));
    readout.textContent = of.map((name) => named(name) + " = " + texts.get(name)).join(" \u00b7 ") || caption;
  };

  // --- reaching everything by keyboard -----------------------------------------------------------------------------

  // a region that scrolls must be reachable
  const reach = () => {
    const wide = new Set(all(".scroll").filter((element) => element.scrollWidth > element.clientWidth));
    for (const element of all(".scroll")) {
      const on = wide.has(element) && !element.querySelector("[tabindex='0']");
      for (const [name, value] of [["tabindex", 0], ["role", "group"], ["aria-label", "\u2194"]]) {
        if (on) element.setAttribute(name, value);
        else element.removeAttribute(name);
      }
    }
  };

  if (units.length) {
    picture.firstElementChild.setAttribute("role", "group"); // an image would have no parts
    units.forEach((unit, i) => {
      unit.setAttribute("tabindex", i ? -1 : 0);
      unit.setAttribute("role", "button");
      unit.setAttribute("aria-label", unit.querySelector("title").textContent);
    });
  }

  // the nearest unit in the direction of an arrow
  const neighbour = (unit, [dx, dy]) => {
    const middle = (u) => {
      const r = u.getBoundingClientRect();
      return [r.left + r.width / 2, r.top + r.height / 2];
    };
    const [x, y] = middle(unit);
    let best = null;
    for (const other of units) {
      const [a, b] = middle(other);
      const along = (a - x) * dx + (b - y) * dy;
      const aside = Math.abs((a - x) * dy) + Math.abs((b - y) * dx);
      const far = along + (dx ? 2 : 8) * aside; // up and down stay in their column
      if (along > 2 && (!best || far < best[0])) best = [far, other];
    }
    return best && best[1];
  };

  const focusOn = (unit) => {
    for (const other of units) other.setAttribute("tabindex", other === unit ? 0 : -1);
    unit.focus();
    unit.scrollIntoView({ block: "nearest", inline: "nearest" });
  };

  // the step that computes a quantity, or the first one that reads what is given
  const origin = (name) =>
    made.get(renewed.has(name) ? "L_new" : name) || 1 + steps.findIndex(({ dataset }) => dataset.reads.split("|").includes(name));

  // --- what a reader does ------------------------------------------------------------------------------------------

  const read = () => {
    const found = new URLSearchParams(location.hash.slice(1));
    const q = found.get("q") || "";
    if (!["step", "row"].some((each) => found.has(each)) && !exists(q)) return; // a link within the page
    play(false);
    if (picture) chooseRow(found.get("row") ?? picture.dataset.row, true);
    show(Number(found.get("step") ?? origin(base(q))) || 1, true);
    choose(q, true);
    const { top } = at("panel").getBoundingClientRect();
    if (top < 0 || top > innerHeight - 200) (at("stage") || at("panel")).scrollIntoView();
  };

  slider.addEventListener("input", () => show(Number(slider.value)));
  find.addEventListener("change", search);
  find.form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  at("speed").addEventListener("change", () => timer && play(true));
  at("show")?.addEventListener("change", (event) => (picture.dataset.show = event.target.value));
  document.addEventListener("change", (event) => {
    if (event.target.name === "row") chooseRow(event.target.value);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) {
      if (button.dataset.go === "play") {
        const on = !playing.classList.contains("on");
        if (on && step === steps.length) show(1);
        return play(on);
      }
      play(false);
      const go = { first: 1, back: step - 1, on: step + 1, last: steps.length }[button.dataset.go];
      return show(go === undefined ? Number(button.dataset.step) : go);
    }
    const link = event.target.closest("a[href^='#step=']");
    if (link) {
      event.preventDefault(); // shown at once, and also where the address has this step already
      location.hash = link.hash;
      read();
      if (link.className) (at("stage") || at("panel")).scrollIntoView();
      return;
    }
    const chosen = event.target.closest("[data-q]");
    if (chosen) choose(chosen.dataset.q === quantity ? "" : chosen.dataset.q);
  });
  picture?.addEventListener("pointerover", (event) => {
    const element = event.target.closest("[data-q]");
    if (element) tell(element.dataset.q.replace("dL:", ""));
  });
  picture?.addEventListener("pointerleave", () => (readout.textContent = caption));
  picture?.addEventListener("focusin", (event) => {
    if (event.target.dataset.q) tell(event.target.dataset.q);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const unit = event.target.closest("[data-unit]");
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (unit && way) {
      event.preventDefault();
      const next = neighbour(unit, way);
      return next && focusOn(next);
    }
    if (unit && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      return choose(unit.dataset.q === quantity ? "" : unit.dataset.q);
    }
    if (event.target.closest("select, input, summary, a, button, [tabindex]") && !(way && event.target.closest("a, button, summary"))) return;
    const go = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 1, End: steps.length }[event.key];
    if (event.key === " ") playing.click();
    else if (go === undefined) return;
    else {
      play(false);
      show(go);
    }
    event.preventDefault();
  });

  // --- the bar -----------------------------------------------------------------------------------------------------

  for (const [q, text] of texts) at("numbers").append(new Option(text, named(q)));
  const links = new Map(all("#bar a").map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        links.get(entry.target.id)?.setAttribute("aria-current", "location");
      }
    },
    { rootMargin: "-30% 0px -65%" },
  );
  for (const section of all("section[id]")) seen.observe(section);

  addEventListener("hashchange", read);
  addEventListener("resize", reach);
  if (byRow.size) chooseRow(row, true);
  show(1, true);
  read();

  // it plays by itself until a reader does something
  if (!location.hash && !calm.matches) {
    const stop = (event) => {
      for (const kind of kinds) removeEventListener(kind, stop, true);
      if (!event.target.closest?.("[data-go=play]")) play(false);
    };
    const kinds = ["pointerdown", "keydown", "wheel", "touchstart"];
    for (const kind of kinds) addEventListener(kind, stop, { capture: true, passive: true });
    play(true);
  }
})();
