/* What a run does now, and how it ended, in plain words. Pure. */
import { sentence } from '../../../api/error';
import { configurationName } from '../setup/configurations';

const phases: Record<string, string> = {
  loading: 'Loading the model',
  ceilings: 'Finding out what this machine can do at most',
  tests: 'Measuring the tests',
  configurations: 'Trying configurations',
  trace: 'Looking into a single step',
  analysis: 'Drawing conclusions',
  models: 'Measuring the models in turn',
  proof: 'Trying it in turn with the baseline',
};

export function phaseWords(phase: string): string {
  return phases[phase] ?? 'Preparing';
}

/* "decode 128 @ 1024, run 2 of 3" → "Writing 128 tokens, 1 024 already in the conversation: run 2 of 3". */
export function stepWords(phase: string, step: string | null): string {
  if (phase === 'loading') return step && step !== 'calibration' ? `Loading ${step}` : phaseWords(phase);
  if (!step || phase === 'ceilings' || phase === 'analysis') return phaseWords(phase);
  const comma = step.lastIndexOf(', ');
  const [subject, turn] = comma < 0 ? [step, ''] : [step.slice(0, comma), step.slice(comma + 2)];
  const what =
    phase === 'configurations' || phase === 'proof'
      ? configurationWords(subject)
      : phase === 'models'
        ? subject
        : testWords(subject);
  return turn ? `${what}: ${turnWords(turn)}` : what;
}

function turnWords(turn: string): string {
  return turn === 'warm-up' ? 'warming up, not counted' : turn;
}

function configurationWords(id: string): string {
  return `Configuration “${configurationName(id)}”`;
}

/* Of a test as events and reports call it: its label "decode 128 @ 1024" or its id "decode_128_at_1024". */
export function testWords(name: string): string {
  const own = /^prompt_(\d+)$/.exec(name);
  if (own) return `Your prompt ${own[1]}`;
  const prefill = /^prefill[ _](\d+)$/.exec(name);
  if (prefill) return `Reading a prompt of ${tokens(prefill[1])}`;
  const decode = /^decode[ _](\d+)(?: @ |_at_)(\d+)$/.exec(name);
  if (decode) {
    const behind =
      decode[2] === '0' ? 'at the beginning of a conversation' : `${grouped(decode[2])} already in the conversation`;
    return `Writing ${tokens(decode[1])}, ${behind}`;
  }
  if (name === 'simple' || name === 'medium' || name === 'complex') return `The ${name} prompt`;
  return name;
}

export function sampleWords(name: string): string {
  return name.includes('=') || /^[a-z]+_[a-z]+$/.test(name) || name === 'baseline'
    ? configurationName(name)
    : testWords(name);
}

function grouped(digits: string | undefined): string {
  return Number(digits).toLocaleString('en-GB').replaceAll(',', '\u202f');
}

const tokens = (digits: string | undefined) => `${grouped(digits)} ${digits === '1' ? 'token' : 'tokens'}`;

export interface Outcome {
  kind: 'good' | 'info' | 'warning' | 'error';
  title: string;
  advice: string;
  unload: boolean; // it would fit without the loaded model
}

/* status: of the run's row. what: "profiling of builtin". */
export function outcomeWords(status: string, message: string | null, kind: string): Outcome {
  const what = kind === 'compare' ? 'The comparison' : kind === 'prove' ? 'The proof' : 'The run';
  const unload = /"unload_current": true/.test(message ?? '');
  if (status === 'success') return { kind: 'good', title: `${what} is finished`, advice: '', unload: false };
  if (status === 'cancelled')
    return {
      kind: 'info',
      title: `${what} was cancelled`,
      advice: 'What was measured until then, if anything, is kept.',
      unload: false,
    };
  if (status === 'interrupted')
    return {
      kind: 'warning',
      title: `${what} was interrupted: LLMind ended in the middle of it`,
      advice: 'Its row stays in the history, without results. Run it again when you like.',
      unload: false,
    };
  if (/ needs .+ of memory/.test(message ?? ''))
    return {
      kind: 'error',
      title: `${what} does not fit into memory`,
      advice: unload
        ? 'The loaded model can make room for the time of the run; it is loaded again afterwards.'
        : 'Close other programs, take a smaller model, or choose a shallower context depth.',
      unload,
    };
  return {
    kind: 'error',
    title: `${what} failed`,
    advice:
      'Try again; when it fails again, choose another model, or look at the Models page for what is wrong with this one.',
    unload: false,
  };
}

/* What the server says of it, for people: no member of a request, and nothing that the title says already. */
export function messageWords(status: string, message: string | null | undefined): string {
  const plain = (message ?? '').replace(/: "unload_current": true .*$/, '').trim();
  return !plain || plain === status ? '' : sentence(plain);
}
