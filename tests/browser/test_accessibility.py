"""axe over every tab, dialog and state of the page, in every mode of colours: not one violation, of whatever impact."""

import json

from states import fill, walk

from conftest import ROOT

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
MODES = {
    "dark": {"color_scheme": "dark", "contrast": "no-preference", "forced_colors": "none"},
    "contrast": {"color_scheme": "dark", "contrast": "more", "forced_colors": "none"},
    "light": {"color_scheme": "light", "contrast": "no-preference", "forced_colors": "none"},
    "forced": {"color_scheme": "light", "contrast": "no-preference", "forced_colors": "active"},
}
# What depends on how something looks. Every other rule reads names, roles and the tree, which are the same in all modes:
# those are applied once, in the first.
LOOKS = ["color-contrast", "link-in-text-block", "target-size"]
# Forced colours are the system's own, and Chromium tells axe the colours that the page asked for in vain.
UNSEEN = {"forced": {"color-contrast"}}


def violations(page, rules=None):
    """What axe finds wrong: [[rule, impact, what it asks for, where]]. rules: only these."""
    return page.evaluate("""async (rules) => {
        for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
        const ending = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime < Infinity);
        await Promise.allSettled(ending.map((one) => one.finished)); // what appears does so in a millisecond
        const { violations } = await axe.run(document, {
            ...(rules ? { runOnly: { type: 'rule', values: rules } } : {}), resultTypes: ['violations'], iframes: false,
        });
        return violations.map((one) => [one.id, one.impact, one.help, one.nodes.map((node) => node.html.slice(0, 200))]);
    }""", rules)  # fmt: skip


def test_axe_finds_no_violation(server, open_context):
    page = open_context(reduced_motion="reduce").new_page()
    page.add_init_script(path=AXE)
    page.emulate_media(**MODES["dark"])
    wrong = []
    for state in walk(page, fill(server)):
        for mode, media in MODES.items():
            page.emulate_media(**media)
            rules = None if mode == "dark" else [rule for rule in LOOKS if rule not in UNSEEN.get(mode, ())]
            wrong += [[state, mode, *found] for found in violations(page, rules)]
        page.emulate_media(**MODES["dark"])
    assert not wrong, json.dumps(wrong, indent=1, ensure_ascii=False)


def test_axe_sees_what_is_wrong(page):
    """The check itself: a picture without a name and a text that nobody can read are found."""
    page.add_init_script(path=AXE)
    page.goto("/settings")
    page.get_by_role("heading", name="Settings", level=1).wait_for()
    page.evaluate("""() => {
        const wrong = document.createElement('div');
        wrong.innerHTML = '<img src="data:,"><p>nobody reads this</p>';
        Object.assign(wrong.lastChild.style, { color: '#777', background: '#888' });
        document.querySelector('main').append(wrong);
    }""")
    assert {"image-alt", "color-contrast"} <= {rule for rule, *_ in violations(page)}
