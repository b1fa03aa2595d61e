/* Dark, light, or as the system says. Colours themselves are all in ui/tokens.css. */
export type ThemeChoice = 'system' | 'dark' | 'light';

const PLACE = 'llmind.theme';
const systemLight = matchMedia('(prefers-color-scheme: light)');

function stored(): ThemeChoice {
  const value = localStorage.getItem(PLACE);
  return value === 'dark' || value === 'light' ? value : 'system';
}

class Theme {
  choice = $state<ThemeChoice>(stored());
  #system = $state<'dark' | 'light'>(systemLight.matches ? 'light' : 'dark');
  shown = $derived(this.choice === 'system' ? this.#system : this.choice);

  constructor() {
    this.#apply();
    systemLight.addEventListener('change', (event) => (this.#system = event.matches ? 'light' : 'dark'));
  }

  choose(choice: ThemeChoice): void {
    this.choice = choice;
    if (choice === 'system') localStorage.removeItem(PLACE);
    else localStorage.setItem(PLACE, choice);
    this.#apply();
  }

  #apply(): void {
    if (this.choice === 'system') delete document.documentElement.dataset['theme'];
    else document.documentElement.dataset['theme'] = this.choice;
  }
}

export const theme = new Theme();
