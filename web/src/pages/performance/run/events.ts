/* The events of a run, as GET /api/profiling/runs/ID/events tells them: the checked border between JSON and the page. */
export interface RunSample {
  number: number; // of the event
  name: string; // of the test, configuration or model
  run: number;
  warmup: boolean;
  outcome: string;
  decode: number | null; // tok/s, of all answers together
  whole: number | null; // tok/s, the wait for the first token included
  ttftMs: number | null;
}

export type RunEvent =
  | { type: 'begin'; kind: string; model: string; time: string }
  | { type: 'phase'; phase: string; step: string | null; progress: number | null; etaS: number | null }
  | { type: 'sample'; sample: RunSample }
  | { type: 'note'; text: string }
  | { type: 'end'; status: string; message: string | null }
  | { type: 'other' };

export function readEvent(type: string, data: string): RunEvent {
  let parsed: unknown;
  try {
    parsed = JSON.parse(data);
  } catch {
    return { type: 'other' };
  }
  if (typeof parsed !== 'object' || parsed === null) return { type: 'other' };
  const said = parsed as Record<string, unknown>;
  const text = (name: string) => (typeof said[name] === 'string' ? said[name] : null);
  const real = (name: string) => (typeof said[name] === 'number' && Number.isFinite(said[name]) ? said[name] : null);
  switch (type) {
    case 'begin':
      return { type, kind: text('kind') ?? 'profile', model: text('model') ?? '', time: text('time') ?? '' };
    case 'phase':
      return {
        type,
        phase: text('phase') ?? '',
        step: text('step'),
        progress: real('progress'),
        etaS: real('eta_s'),
      };
    case 'sample': {
      const decode = real('aggregate_decode_tokens_per_second') ?? real('decode_tokens_per_second');
      return {
        type,
        sample: {
          number: real('number') ?? 0,
          name: text('test') ?? text('configuration') ?? text('model') ?? '',
          run: real('run') ?? 0,
          warmup: said['warmup'] === true,
          outcome: text('outcome') ?? '',
          decode,
          whole: decode == null ? null : real('tokens_per_second'), // one token alone has no speed
          ttftMs: real('ttft_ms'),
        },
      };
    }
    case 'note':
      return { type, text: text('text') ?? '' };
    case 'end':
      return { type, status: text('status') ?? '', message: text('message') };
    default:
      return { type: 'other' };
  }
}
