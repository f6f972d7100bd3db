export { clip, toOneLine, toPlainText } from './plain-text.ts';
export { PLAIN, readStyle, toRgb, type Attribute, type Style } from './style.ts';
export { readLine, styleLine, type Span } from './styled-line.ts';
