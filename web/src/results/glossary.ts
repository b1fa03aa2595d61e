/* The special words of sentences that the server writes (findings, advice, proofs, the guide), each with what it means:
 * the page puts them behind such a sentence (Terms.svelte). Pure. */
const terms: readonly (readonly [word: string, pattern: RegExp, meaning: string])[] = [
  ['KV cache', /\bKV[ -](cache|bits|heads)|--kv-|kv_bits/i, 'what the model has worked out about the context (keys and values of every token), kept so that it is not computed again; each new token reads all of it'],
  ['prefix cache', /prefix cache/i, 'what was read of an earlier prompt is kept for prompts that begin alike'],
  ['last-level cache', /last-level cache/i, 'the largest memory inside the processor, much faster than main memory'],
  ['quantization', /quanti[sz]|\b\d-bit\b|\bint8\b/i, 'keeping the numbers of a model in fewer bits: smaller and faster, a little less exact'],
  ['group size', /\bgroup(s| size)? ?(of )?\d|group size/i, 'so many weights share one scale'],
  ['active parameters', /active parameters|mixture.of.experts/i, 'the part of a model’s numbers that one token uses; a mixture of experts uses few of all'],
  ['prefill', /prefill/i, 'reading the prompt, before the first token of the answer'],
  ['decoding', /\bdecod/i, 'writing the answer, one token (a piece of a word) after the other'],
  ['TTFT', /\bTTFT\b/, 'time to first token, from the request until the first piece of the answer'],
  ['ITL', /\bITL\b/, 'inter-token latency, the gap between one token and the next'],
  ['percentiles', /\bp(50|90|99)\b/, 'p50, p90 and p99: of 100 values 50, 90 or 99 are smaller'],
  ['MBU', /\bMBU\b|bandwidth utilisation/, 'memory bandwidth utilisation, the part of the reading speed of this machine that was used'],
  ['MFU', /\bMFU\b/, 'compute utilisation, the part of the arithmetic of this machine that was used'],
  ['bandwidth', /bandwidth|\bGB\/s/i, 'how much can be read from memory each second; GB/s are thousand million bytes each second'],
  ['roofline', /roofline/i, 'a drawing of how near each operation comes to what the machine can read and calculate'],
  ['attention', /\battention\b/i, 'the part of a model that looks back at the context'],
  ['guessing ahead', /draft|speculative|guess(ed|es)?\b|prompt.lookup/i, 'speculative decoding: next tokens are guessed, and several are checked in one step'],
  ['baseline', /baseline/i, 'the settings of the run itself, which everything else is compared with'],
  ['95 % CI', /95 % (CI|interval|confidence)/, 'the range in which the real change lies with 95 % confidence'],
  ['A B B A', /A B B A|\bblocks?\b/, 'a block: the baseline (A) and the change (B) in turn, so that a drifting machine favours neither'],
  ['CV', /\bCV\b|standard deviation/, 'standard deviation, how far repeats lie apart; CV: that as a share of their mean'],
  ['drift', /\bdrift/i, 'repeats that move in one direction, as when a machine grows hot'],
  ['quota', /\bquota/i, 'the processor time that a container or control group may use in each period'],
  ['hypervisor', /hypervisor|\bsteal\b|Steal time/, 'the program that runs virtual machines; steal is processor time that it withholds from this one'],
  ['swap', /\bswap/i, 'memory that was moved out to the disk, because there was not enough of it'],
  ['page fault', /page fault|\bresident\b/i, 'a piece of memory that is not there (not resident) and has to be fetched'],
  ['NUMA', /\bNUMA\b|\bsockets?\b|numactl/i, 'on machines with several processor sockets each has memory of its own; that of another one (NUMA node) is slower'],
  ['SMT', /\bSMT\b|physical core/i, 'two threads that share one physical core and its units'],
  ['AVX', /\bAVX|\bVNNI\b|\bNEON\b|\bisa=/i, 'instructions of the processor that compute many numbers at once'],
  ['peak', /\bGFLOP|arithmetic peak|\bpeak\b.*arithmetic/i, 'the most arithmetic this machine was measured to do; GFLOP/s are thousand million operations each second'],
  ['trace', /\btraced?\b/i, 'one step timed part by part, apart from the timed runs'],
  ['scratch', /\bscratch\b|\bactivations\b/i, 'the intermediate results of one step'],
  ['working set', /working set|wired.limit/i, 'the memory that the system keeps ready for the GPU'],
  ['calibration', /calibrat/i, 'what each kind of operation costs on this machine, measured once by “llmind system --calibrate”'],
  ['huge pages', /huge.?page|large pages/i, 'memory handed out in large pieces, which are quicker to find'],
  ['governor', /\bgovernor\b/i, 'what chooses the processor’s clock frequency'],
  ['perplexity', /perplexity|llmind eval/i, 'how well a model foretells a text (“llmind eval” measures it): lower is better'],
  ['unified memory', /unified memory/i, 'one memory that processor and GPU share'],
]; // prettier-ignore

/* "KV cache: what … . Quantization: keeping …" of the words in a text; "" where there is none. */
export function meanings(text: string): string {
  return terms
    .filter(([, pattern]) => pattern.test(text))
    .map(([word, , meaning]) => `${word.charAt(0).toUpperCase()}${word.slice(1)}: ${meaning}.`)
    .join(' ');
}
