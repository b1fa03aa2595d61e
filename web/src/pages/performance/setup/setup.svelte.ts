/* The one form, kept while other pages are open and over a reload of this tab. */
import { newForm, readForm, type Form } from './form';

const PLACE = 'llmind.profiling';

function stored(): Form {
  try {
    return readForm(sessionStorage.getItem(PLACE));
  } catch {
    return newForm(); // a browser without storage
  }
}

export const form = $state<Form>(stored());

/* In a component: keeps what is typed. */
export function keepForm(): void {
  $effect(() => {
    const text = JSON.stringify(form);
    try {
      sessionStorage.setItem(PLACE, text);
    } catch {
      // then it lasts as long as the page
    }
  });
}

export function resetForm(): void {
  Object.assign(form, newForm(), { model: form.model });
}
