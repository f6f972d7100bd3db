export { clip, toOneLine, toPlainText } from './plain-text.ts';
