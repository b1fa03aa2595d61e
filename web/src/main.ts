import './ui/tokens.css';
import './ui/base.css';
import { mount } from 'svelte';
import App from './shell/App.svelte';
import { keepFocus } from './state/focus';
import { interceptLinks } from './state/router.svelte';

interceptLinks();
keepFocus();

const target = document.getElementById('app');
if (target) mount(App, { target });
