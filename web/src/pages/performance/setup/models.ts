/* The installed models as choices. Pure. */
import { bytes } from '../../../api/format';
import type { Model } from './form';

export interface ModelOption {
  value: string;
  label: string;
  group: string;
  disabled: boolean;
}

export const isUsable = (model: Model): boolean => model.supported && !model.problem;

export function modelOptions(models: readonly Model[]): ModelOption[] {
  const good = models.filter(isUsable);
  const bad = models.filter((model) => !isUsable(model));
  return [
    ...good.map((model) => ({ value: model.name, label: label(model), group: 'Installed', disabled: false })),
    ...bad.map((model) => ({ value: model.name, label: `⚠ ${model.name}`, group: 'Cannot be used', disabled: true })),
  ];
}

function label(model: Model): string {
  const facts = [bytes(model.size_bytes).text, model.loaded ? 'loaded' : ''].filter((fact) => fact && fact !== '–');
  return facts.length ? `${model.name} (${facts.join(', ')})` : model.name;
}

export function problemOf(model: Model): string {
  return model.problem ?? 'LLMind does not know this architecture yet.';
}

/* The one that a run takes when none was chosen: the loaded one, else the first that works. */
export function usualModel(models: readonly Model[], wanted: string): string {
  const good = models.filter(isUsable);
  return (good.find((model) => model.name === wanted) ?? good.find((model) => model.loaded) ?? good[0])?.name ?? '';
}

/* What a comparison takes by itself: all that work and leave a tenth of the free memory. The server's own rule. */
export function fitting(models: readonly Model[], freeBytes: number | null): string[] {
  return models
    .filter(isUsable)
    .filter((model) => freeBytes == null || (model.size_bytes ?? 0) <= freeBytes * 0.9)
    .map((model) => model.name);
}
