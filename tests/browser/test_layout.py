"""Every state of the page on a small phone and at 200 % zoom: nothing makes it wider than its window, nothing is cut off."""

import pytest
from layout import cut_off, fits
from states import fill, walk

SIZES = {
    "phone": {"viewport": {"width": 360, "height": 780}},
    "zoom": {"viewport": {"width": 640, "height": 450}, "device_scale_factor": 2},  # 1280 × 900 at 200 %
}


@pytest.fixture(scope="module")
def shelf(server):
    return fill(server)


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_off(open_context, shelf, size):
    page = open_context(reduced_motion="reduce", **SIZES[size]).new_page()
    wrong = []
    for state in walk(page, shelf):
        if not fits(page):
            wrong.append(f"{state}: the page is wider than its window")
        wrong += [f"{state}: {what}" for what in cut_off(page)]
    assert not wrong, "\n".join(wrong)


def test_what_is_cut_off_is_seen(page):
    """The check itself."""
    page.goto("/settings")
    page.get_by_role("heading", name="Settings", level=1).wait_for()
    assert cut_off(page) == [] and fits(page)
    page.evaluate("""() => {
        const narrow = document.createElement('div');
        Object.assign(narrow.style, { width: '100px', overflow: 'hidden', whiteSpace: 'nowrap' });
        narrow.innerHTML = '<p>longer than one hundred pixels are wide</p>';
        const far = document.createElement('p');
        far.innerText = 'far away';
        Object.assign(far.style, { position: 'absolute', left: '3000px', top: '0' });
        document.querySelector('main').append(narrow, far);
    }""")
    found = cut_off(page)
    assert len(found) == 2 and "cut off" in found[0] and "outside of the window" in found[1], found
    assert not fits(page)
