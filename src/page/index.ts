export { renderStartPage, type Page } from './start-page.ts';
