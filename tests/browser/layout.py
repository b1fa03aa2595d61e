"""What does not fit: found in the page itself, for whatever is shown at the moment."""

# Texts and controls that lie outside of the window, or outside of a box that hides what does not fit into it. What is
# in a box that scrolls, is cut on purpose (an ellipsis, a number of lines) or is for listeners only is none of them.
_CUT_OFF = """
() => {
  const wrong = [];
  const describe = (e, how) => wrong.push(`${how}: <${e.tagName.toLowerCase()} class="${e.className}"> ${(e.innerText ?? e.value ?? '').slice(0, 60)}`);
  const dialog = [...document.querySelectorAll('dialog:modal')].at(-1);
  for (const e of (dialog ?? document.body).querySelectorAll('*')) {
    const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!(own || e.matches('button, input, select, textarea, canvas, [role=img]'))) continue;
    if (!e.checkVisibility({ visibilityProperty: true }) || e.closest('.sr-only, .skip, option, noscript')) continue;
    let box = e.getBoundingClientRect();
    if (own && !e.matches('button, input, select, textarea')) {
      const range = document.createRange();
      range.selectNodeContents(e);
      box = range.getBoundingClientRect();
    }
    if (box.width < 1 || box.height < 1) continue;
    let hidden = false; // on purpose, or to be scrolled to
    for (let up = e; up && up !== document.documentElement; up = up.parentElement) {
      const style = getComputedStyle(up);
      if (style.clipPath !== 'none' || style.textOverflow === 'ellipsis' || style.webkitLineClamp !== 'none') hidden = true;
      if (/auto|scroll/.test(style.overflowX) && up.scrollWidth > up.clientWidth) hidden = true;
      if (hidden) break;
      const room = up.getBoundingClientRect();
      if (/hidden|clip/.test(style.overflowX) && up !== e && up !== document.body && (box.left < room.left - 1 || box.right > room.right + 1)) {
        describe(e, 'cut off');
        hidden = true;
      }
    }
    if (!hidden && (box.left < -1 || box.right > innerWidth + 1)) describe(e, 'outside of the window');
  }
  return wrong;
}
"""


def cut_off(page):
    """What is cut off, as descriptions of elements; [] is right."""
    return page.evaluate(_CUT_OFF)


def fits(page):
    """Nothing makes the page wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")
