/* The sampling controls as they stand, for every chat of this tab. */
import { noSampling, type SamplingText } from './sampling';

const PLACE = 'llmind.sampling';

function stored(): SamplingText {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(PLACE) ?? '{}');
    const found = value && typeof value === 'object' ? (value as Record<string, unknown>) : {};
    const text = { ...noSampling };
    for (const key of Object.keys(text) as (keyof SamplingText)[])
      if (typeof found[key] === 'string') text[key] = found[key];
    return text;
  } catch {
    return { ...noSampling };
  }
}

class Sampling {
  text = $state.raw<SamplingText>(stored());
  changed = $derived(Object.values(this.text).filter((one) => one.trim()).length);

  set(text: SamplingText): void {
    this.text = text;
    sessionStorage.setItem(PLACE, JSON.stringify(text));
  }
}

export const sampling = new Sampling();
