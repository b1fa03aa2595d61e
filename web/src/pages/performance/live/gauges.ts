/* What the live tiles show of a sample. Pure. */
import { bytes, count, percent, quantity, reasonOf, seconds, tokensPerSecond, unknown } from '../../../api/format';
import type { Figure } from '../../../api/format';
import type { Sample } from '../../../api/live.svelte';

type Maybe = number | null | undefined;

export interface Gauge {
  id: string;
  label: string;
  definition: string;
  figure: (sample: Sample) => Figure;
  value: (sample: Sample) => Maybe; // what its small line shows
  full?: (sample: Sample) => Maybe; // the share of what there is, 0 to 1
  note?: (sample: Sample) => string;
  cores?: (sample: Sample) => Sample['cpu']['cores'];
}

export function ownMemory(sample: Sample): number | null {
  const worker = sample.memory.worker?.resident_bytes;
  const server = sample.memory.server?.resident_bytes;
  return worker == null && server == null ? null : (worker ?? 0) + (server ?? 0);
}

export function usedMemory(sample: Sample): number | null {
  const { total_bytes: total, available_bytes: free } = sample.memory;
  return total == null || free == null ? null : total - free;
}

type Gpu = NonNullable<Sample['gpus']>[number];
const gpu = (sample: Sample): Gpu | null => sample.gpus?.[0] ?? null;
const noGpu = (sample: Sample) => reasonOf(sample, 'gpus') ?? 'no GPU on this machine';
const ofGpu = (sample: Sample, name: keyof Gpu) => (gpu(sample) ? reasonOf(gpu(sample), name) : noGpu(sample));

/* "no temperature sensor: neither /sys/class/… has one" — the part before the colon is for the tile. */
export function briefly(reason: string): string {
  const colon = reason.indexOf(': ');
  return colon > 0 ? reason.slice(0, colon) : reason;
}

export const gauges: readonly Gauge[] = [
  {
    id: 'speed',
    label: 'Speed',
    definition: 'Tokens per second that are being written now, in all answers together. 0 while nobody asks anything.',
    figure: (s) => tokensPerSecond(s.tokens_per_second),
    value: (s) => s.tokens_per_second,
  },
  {
    id: 'response',
    label: 'Response time',
    definition: 'From a request until its last token: the mean of all answers since the server was started.',
    figure: (s) => seconds(s.response_s, reasonOf(s, 'response_s')),
    value: (s) => s.response_s,
  },
  {
    id: 'answers',
    label: 'Answers',
    definition: 'Answers that were written to their end since the server was started.',
    figure: (s) => count(s.answers.stop + s.answers.length, '', ''),
    value: (s) => s.answers.stop + s.answers.length,
    note: (s) => {
      const { cancelled, error } = s.answers;
      return [cancelled && `${cancelled} cancelled`, error && `${error} failed`].filter(Boolean).join(', ');
    },
  },
  {
    id: 'memory',
    label: 'Memory',
    definition:
      'What LLMind occupies (server and model). The bar is the whole machine: what all programs together use of its memory.',
    figure: (s) => bytes(ownMemory(s), 'it could not be read'),
    value: ownMemory,
    full: (s) => {
      const used = usedMemory(s);
      return used == null || !s.memory.total_bytes ? null : used / s.memory.total_bytes;
    },
    note: (s) => {
      const used = usedMemory(s);
      return used == null ? '' : `${bytes(used).text} of ${bytes(s.memory.total_bytes).text} in use on this machine`;
    },
  },
  {
    id: 'cpu',
    label: 'CPU utilization',
    definition: 'How busy the processor cores are, with everything that runs on this machine. A bar for each core.',
    figure: (s) => percent(s.cpu.busy, reasonOf(s.cpu, 'busy')),
    value: (s) => s.cpu.busy,
    cores: (s) => s.cpu.cores,
  },
  {
    id: 'gpu',
    label: 'GPU utilization',
    definition:
      'The share of time in which the graphics processor does something. Busy does not mean used to its limit.',
    figure: (s) => {
      const one = gpu(s);
      return one ? percent(one.busy, reasonOf(one, 'busy')) : { ...unknown(noGpu(s)), value: 'no GPU', text: 'no GPU' };
    },
    value: (s) => gpu(s)?.busy,
    full: (s) => gpu(s)?.busy,
    note: (s) => gpu(s)?.name ?? '',
  },
  {
    id: 'temperature',
    label: 'Temperature',
    definition: 'Of the processor, or of the graphics processor where there is one. Many slow down from about 85 °C.',
    figure: (s) => {
      const own = quantity(gpu(s)?.temperature_c, '°C', ofGpu(s, 'temperature_c'));
      return own.reason ? quantity(s.cpu.temperature_c, '°C', reasonOf(s.cpu, 'temperature_c')) : own;
    },
    value: (s) => gpu(s)?.temperature_c ?? s.cpu.temperature_c,
  },
  {
    id: 'power',
    label: 'Power',
    definition: 'What the processor, and the graphics processor where there is one, draw now.',
    figure: (s) => quantity(power(s), 'W', reasonOf(s.cpu, 'power_w')),
    value: power,
  },
  {
    id: 'frequency',
    label: 'Clock',
    definition: 'The mean clock of the processor cores. It falls when the machine is hot or saves power.',
    figure: (s) => quantity(s.cpu.mhz == null ? null : s.cpu.mhz / 1000, 'GHz', reasonOf(s.cpu, 'mhz')),
    value: (s) => s.cpu.mhz,
  },
  {
    id: 'active',
    label: 'Active sequences',
    definition: 'Answers that are being written at this moment, all in the same steps.',
    figure: (s) => count(s.active_sequences, '', '', reasonOf(s, 'active_sequences') ?? 'no model is loaded'),
    value: (s) => s.active_sequences,
    full: (s) => share(s.active_sequences, s.model?.max_sequences),
    note: (s) => (s.model ? `${s.model.max_sequences} at most` : ''),
  },
  {
    id: 'queue',
    label: 'Queue',
    definition: 'Requests that wait until an answer begins; while a measurement times something, all of them do.',
    figure: (s) => count(waiting(s), '', '', reasonOf(s, 'queued_requests') ?? 'no model is loaded'),
    value: waiting,
  },
  {
    id: 'kv',
    label: 'KV pages',
    definition:
      'The KV cache keeps what a model has worked out about a conversation, in pages. Cached pages are kept for prompts that begin alike.',
    figure: (s) => count(s.kv?.pages_used, '', '', reasonOf(s, 'kv') ?? 'no model is loaded'),
    value: (s) => s.kv?.pages_used,
    full: (s) => share(s.kv?.pages_used, s.kv?.pages_total),
    note: (s) => (s.kv ? `of ${count(s.kv.pages_total).text}, ${count(s.kv.pages_cached).text} cached` : ''),
  },
];

function share(part: Maybe, whole: Maybe): number | null {
  return part == null || !whole ? null : part / whole;
}

function power(sample: Sample): number | null {
  const cpu = sample.cpu.power_w;
  const card = gpu(sample)?.power_w;
  return cpu == null && card == null ? null : (cpu ?? 0) + (card ?? 0);
}

function waiting(sample: Sample): number | null {
  return sample.queued_requests == null ? null : sample.queued_requests + sample.waiting_for_model;
}
