// What the fixtures ask an open page: an expression, an object of functions. Faults come back as short descriptions.
(() => {
  const describe = (e) => {
    const name = e.tagName.toLowerCase() + (e.id ? `#${e.id}` : "") + [...e.classList].map((c) => `.${c}`).join("");
    const text = e.textContent.trim().replace(/\s+/g, " ");
    return text ? `${name} "${text.length > 40 ? text.slice(0, 39) + "…" : text}"` : name;
  };

  // px by which Firefox makes the box of a drawing's text larger, to each side and above and below, than Chromium, which
  // shows the same picture: one for smooth edges, and the rest of a pixel for what goes up and down from the line
  const [wider, higher] = navigator.userAgent.includes("Firefox") ? [1, 2] : [0, 0];

  // by how much a text is less high than its line, above and below: fonts for Chinese have lines of 1.6 times the size
  const tall = (e, r) => (r.height - 1.2 * parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().d) / 2;

  // where an element is laid out, or null where nothing of it is shown; in the coordinates of the document
  const box = (e) => {
    const r = e.getBoundingClientRect();
    const shown = e.checkVisibility({ opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true });
    if (!shown || r.width === 0 || r.height === 0) return null;
    const [x, y] = e.ownerSVGElement && e.tagName === "text" ? [wider, Math.max(higher, tall(e, r))] : [0, 0];
    return {
      left: r.left + scrollX + x,
      top: r.top + scrollY + y,
      right: r.right + scrollX - x,
      bottom: r.bottom + scrollY - y,
    };
  };

  // the ancestors that can cut an element off: not those which an absolute or fixed position takes it out of
  const cutters = function* (e) {
    let position = getComputedStyle(e).position;
    for (let a = e.parentElement; a && a !== document.body && position !== "fixed"; a = a.parentElement) {
      const style = getComputedStyle(a);
      if (position === "absolute" && style.position === "static") continue;
      if (style.overflowX !== "visible" || style.overflowY !== "visible") yield [a, style];
      position = style.position;
    }
  };

  // the part of its box that a reader sees, or can scroll the page to
  const seen = (e) => {
    const b = box(e);
    if (!b) return null;
    for (const [a] of cutters(e)) {
      const c = box(a);
      if (!c) return null;
      b.left = Math.max(b.left, c.left);
      b.top = Math.max(b.top, c.top);
      b.right = Math.min(b.right, c.right);
      b.bottom = Math.min(b.bottom, c.bottom);
    }
    return b;
  };

  const overlaps = (selector) => {
    const all = [...document.querySelectorAll(selector)].map((e) => [e, seen(e)]).filter(([, b]) => b);
    const found = [];
    all.forEach(([e, b], i) => {
      for (const [f, c] of all.slice(i + 1)) {
        const wide = Math.min(b.right, c.right) - Math.max(b.left, c.left);
        const high = Math.min(b.bottom, c.bottom) - Math.max(b.top, c.top);
        if (wide > 1 && high > 1 && !e.contains(f)) found.push([describe(e), describe(f)]);
      }
    });
    return found;
  };

  const overflow = () => {
    const width = document.documentElement.clientWidth;
    const out = new Set();
    for (const e of document.body.querySelectorAll("*")) {
      // a drawing cuts its curves off at its edge and means to, but not its text
      if (e.ownerSVGElement && e.tagName !== "text") continue;
      const b = box(e);
      // what lies wholly to the left is out of the way, as a link to skip to the content is until it has the focus
      if (!b || (b.right <= width + 1 && (b.left >= -1 || b.right <= 1))) continue;
      // inside what scrolls sideways it can be reached; what is merely hidden is lost to the reader
      if ([...cutters(e)].some(([, style]) => ["auto", "scroll"].includes(style.overflowX))) continue;
      out.add(e);
    }
    const found = [...out].filter((e) => !out.has(e.parentElement)).map(describe);
    const whole = document.documentElement.scrollWidth;
    if (!found.length && whole > width) found.push(`the page is ${whole} px wide in ${width}`);
    return found;
  };

  return { overlaps, overflow };
})()
