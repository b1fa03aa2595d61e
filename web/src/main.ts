import './ui/tokens.css';
import './ui/base.css';
import { mount } from 'svelte';
import App from './shell/App.svelte';
import { interceptLinks } from './state/router.svelte';

interceptLinks();

const target = document.getElementById('app');
if (target) mount(App, { target });
