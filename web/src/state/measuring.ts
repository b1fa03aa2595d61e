/* While a measurement runs the page must not slow what it shows: `data-measuring` on the root turns blur and decorative
 * motion off (ui/tokens.css). Whoever shows a run holds it; the shell holds it while the server says it is parked. */
let holders = 0;

export function holdMeasuring(): () => void {
  holders++;
  document.documentElement.dataset['measuring'] = '';
  let released = false;
  return () => {
    if (released) return;
    released = true;
    if (--holders === 0) delete document.documentElement.dataset['measuring'];
  };
}
