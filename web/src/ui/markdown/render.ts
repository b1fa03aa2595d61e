/* Markdown from a model is foreign text. Three doors, each of which would do: markdown-it lets no HTML through and no
 * link but http, https and mailto; no picture is ever loaded; DOMPurify keeps only the elements that we make. */
import DOMPurify from 'dompurify';
import MarkdownIt from 'markdown-it';

const SCHEMES = /^(https?:\/\/|mailto:)/i;

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: true });
markdown.validateLink = (url) => SCHEMES.test(url.trim());
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false }); // "main.py" is no address

const escape = markdown.utils.escapeHtml;
const rules = markdown.renderer.rules;

rules['link_open'] = (tokens, i, options, _, self) => {
  tokens[i]?.attrSet('target', '_blank');
  tokens[i]?.attrSet('rel', 'noopener noreferrer');
  return self.renderToken(tokens, i, options);
};

/* A picture would tell a stranger's server that the answer is being read; a link is the reader's own choice. */
rules['image'] = (tokens, i) => {
  const url = String(tokens[i]?.attrGet('src') ?? '');
  const text = escape(tokens[i]?.content || url);
  return SCHEMES.test(url)
    ? `<a href="${escape(url)}" target="_blank" rel="noopener noreferrer">Picture: ${text}</a>`
    : `Picture: ${text}`;
};

rules['table_open'] = () => '<div class="md-scroll" role="region" aria-label="Table" tabindex="0"><table>\n';
rules['table_close'] = () => '</table></div>\n';

function block(code: string, language: string): string {
  const name = language ? `${escape(language)} code` : 'Code';
  return (
    `<div class="md-code"><div class="md-bar"><span>${escape(language) || 'code'}</span>` +
    `<button type="button" class="md-copy">Copy</button></div>` +
    `<pre role="region" tabindex="0" aria-label="${name}" dir="ltr"><code>${escape(code)}</code></pre></div>\n`
  );
}
rules['fence'] = (tokens, i) => {
  const token = tokens[i];
  return block(token?.content ?? '', (token?.info ?? '').trim().split(/\s+/, 1)[0]?.slice(0, 40) ?? '');
};
rules['code_block'] = (tokens, i) => block(tokens[i]?.content ?? '', '');

/* Headings in an answer must not pretend to be the page's, and must leave out no level, whatever the model wrote: the
 * outermost are h3, below the message's own. */
markdown.core.ruler.push('headings', ({ tokens }) => {
  const open: number[] = []; // how deep the model wrote those that this one stands below, and itself
  for (const token of tokens) {
    if (token.type === 'heading_open') {
      const depth = Number(token.tag.slice(1));
      while ((open.at(-1) ?? 0) >= depth) open.pop();
      open.push(depth);
      token.attrSet('dir', 'auto');
    }
    if (token.type.startsWith('heading_')) token.tag = `h${Math.min(6, 2 + open.length)}`;
  }
});

for (const name of ['paragraph_open', 'list_item_open', 'blockquote_open', 'th_open', 'td_open'])
  rules[name] = (tokens, i, options, _, self) => {
    if (tokens[i]?.hidden) return '';
    tokens[i]?.attrSet('dir', 'auto');
    return self.renderToken(tokens, i, options);
  };

const ALLOWED = {
  ALLOWED_TAGS: [
    ...['a', 'blockquote', 'br', 'button', 'code', 'del', 'div', 'em', 'h3', 'h4', 'h5', 'h6', 'hr', 'li', 'ol', 'p'],
    ...['pre', 's', 'span', 'strong', 'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul'],
  ],
  ALLOWED_ATTR: ['aria-label', 'class', 'dir', 'href', 'rel', 'role', 'start', 'style', 'tabindex', 'target', 'type'],
  ALLOWED_URI_REGEXP: SCHEMES,
  ADD_URI_SAFE_ATTR: ['dir', 'rel', 'start', 'tabindex', 'target', 'type'], // it takes every other value for an address
};

export function renderMarkdown(text: string): string {
  return DOMPurify.sanitize(markdown.render(text), ALLOWED);
}
