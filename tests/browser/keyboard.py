"""What somebody without a pointer does: Tab until it is there, then press it. Where the focus stands must be seen."""

from conftest import wait_for

# What has the focus, how it looks; null where nothing has it.
_FOCUS = """
(target) => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e);
  const ring = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== 'none';
  const name = e.getAttribute('aria-label') ?? e.innerText ?? '';
  return { ring, there: e === target, text: `<${e.tagName.toLowerCase()} class="${e.className}"> ${name.slice(0, 60)}` };
}
"""


def focus(page):
    """The description of what has the focus, or None."""
    found = page.evaluate(_FOCUS)
    return found and found["text"]


def tab_to(page, target, back=False, steps=250):
    """Presses Tab (back: Shift+Tab) until the target has the focus. Every stop on the way must be seen to have it."""
    passed = []
    for _ in range(steps):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        found = page.evaluate(_FOCUS, target.first.element_handle())  # anew: a list may have been drawn again
        if not found:
            continue  # between the page's end and its beginning
        passed.append(found["text"])
        assert found["ring"], f"the focus cannot be seen on {found['text']}"
        if found["there"]:
            return
    raise AssertionError(f"{target} is not reached in {steps} steps:\n" + "\n".join(passed))


def press(page, target, key="Enter", back=False):
    """Goes there and presses it."""
    tab_to(page, target, back)
    page.keyboard.press(key)


def keeps_focus(page):
    """Something in the page has the focus, however busy the page was with making the rest vanish."""
    return wait_for(lambda: focus(page), "something to have the focus", 10)
