// Keeps a build page up to date with server-sent events. Adds links to lines, following, folding and copying. Without
// it, the page shows the same content. The page embeds this file unchanged, so it imports nothing.

/** Lines in one list. The server uses the same number. */
const CHUNK_LINES = 200;
/**
 * Lists that one log keeps while it is followed: 200,000 lines. The oldest lists of a longer log are removed from the
 * page.
 */
const MAX_LISTS = 1_000;
/** Pause before a reconnect. It doubles after each attempt. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 10_000;
/**
 * Attempts in a row without a new line, about ten minutes. Then the page stops: it is probably open and forgotten.
 */
const MAX_TRIES = 60;
/** Distance from the end of the page, in pixels, that still counts as the end. */
const NEAR = 60;

/**
 * Formats a running time: `8s`, `1m 12s`, `2h 5m`. From ten seconds on, the result equals that of the server's
 * `formatDuration`.
 *
 * @param {number} ms
 */
export function formatRunningTime(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) return minutes % 60 === 0 ? `${hours}h` : `${hours}h ${minutes % 60}m`;
  if (minutes > 0) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m ${seconds % 60}s`;
  return `${seconds}s`;
}

/**
 * Reads `#test-L12` and `#test-L12-L20` as a step and its first and last line. Returns undefined for any other hash.
 *
 * @param {string} hash
 */
export function parseLineRange(hash) {
  const [, step, from, to] = /^#([a-z0-9_.-]+)-L(\d{1,9})(?:-L(\d{1,9}))?$/.exec(hash) ?? [];
  if (step === undefined) return undefined;
  const [first, last] = [Number(from), Number(to ?? from)].sort((one, other) => one - other);
  return { step, first, last };
}

function find(id) {
  return document.getElementById(id);
}

function start() {
  addLineLinks();
  addTools();
  if (find('live')) follow(JSON.parse(find('live').textContent));
}

/**
 * Highlights the lines that the address names. A click on a line number changes the address, and a shift-click
 * selects a range.
 */
function addLineLinks() {
  function highlight() {
    for (const line of document.querySelectorAll('.hit')) line.classList.remove('hit');
    const range = parseLineRange(location.hash);
    const first = range && find(`${range.step}-L${range.first}`);
    if (!first) return;
    first.closest('details').open = true;
    for (let number = range.first; number <= range.last; number++) {
      const line = find(`${range.step}-L${number}`);
      if (!line) break;
      line.classList.add('hit');
    }
    first.scrollIntoView({ block: 'center' });
  }

  document.addEventListener('click', (event) => {
    const line = event.target.closest?.('.log li[id]');
    // The number is in the padding, to the left of the text.
    if (!line || event.clientX > line.getBoundingClientRect().left + parseFloat(getComputedStyle(line).paddingLeft))
      return;
    const before = parseLineRange(location.hash);
    const here = parseLineRange(`#${line.id}`);
    const isRange = event.shiftKey && before?.step === here.step;
    const [first, last] = [Math.min(before?.first ?? 0, here.first), Math.max(before?.first ?? 0, here.first)];
    history.replaceState(null, '', isRange ? `#${here.step}-L${first}-L${last}` : `#${line.id}`);
    const top = scrollY;
    highlight();
    scrollTo({ top });
  });
  addEventListener('hashchange', highlight);
  highlight();
}

function addTools() {
  const fold = find('fold');
  if (fold) {
    fold.hidden = false;
    fold.addEventListener('click', () => {
      const steps = [...document.querySelectorAll('.step')];
      const opens = steps.some((step) => !step.open);
      for (const step of steps) step.open = opens;
      fold.textContent = opens ? 'Close all' : 'Open all';
    });
  }
  document.addEventListener('click', (event) => {
    if (event.target.classList?.contains('copy')) void copy(event.target);
  });
  showCopyButtons();
}

/** A browser has a clipboard only on HTTPS and on localhost. */
function showCopyButtons() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll('.copy')) button.hidden = false;
}

async function copy(button) {
  const lines = button.closest('.step').querySelectorAll('.log li[id]');
  const text = Array.from(lines, (line) => `${line.textContent}\n`).join('');
  button.textContent = await navigator.clipboard.writeText(text).then(
    () => 'Copied',
    () => 'Not allowed',
  );
  setTimeout(() => (button.textContent = 'Copy'), 2_000);
}

/** Follows the build. `from`: the position at which the page ends. `now`: the server's time when it made the page. */
function follow({ from, now }) {
  const clockOffset = Date.now() - now;
  const jump = find('jump');
  let position = from;
  let pauseMs = FIRST_PAUSE_MS;
  let tries = 0;
  let isAtEnd = wantsEnd();

  function updateTimes() {
    for (const time of document.querySelectorAll('[data-since]'))
      time.textContent = formatRunningTime(Date.now() - clockOffset - Number(time.dataset.since));
  }
  const timer = setInterval(updateTimes, 1_000);

  function onScroll() {
    isAtEnd = wantsEnd();
    jump.hidden = isNearEnd();
  }
  function stayAtEnd() {
    if (isAtEnd) scrollTo({ top: document.documentElement.scrollHeight });
    else onScroll();
  }
  addEventListener('scroll', onScroll, { passive: true });
  addEventListener('resize', onScroll, { passive: true });
  jump.addEventListener('click', () => {
    isAtEnd = true;
    stayAtEnd();
  });
  onScroll();

  function connect() {
    const source = new EventSource(`${location.pathname}/events?from=${encodeURIComponent(position)}`);
    let isClosed = false;
    function listen(name, handle) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId !== '') position = event.lastEventId;
        handle(JSON.parse(event.data));
        stayAtEnd();
      });
    }
    source.addEventListener('open', () => showConnection(''));
    source.addEventListener('error', () => reconnect('Connection lost. Reconnecting…'));
    listen('state', (state) => {
      showState(state, isAtEnd);
      updateTimes();
    });
    listen('log', (log) => {
      showLog(log);
      if (log.pieces.some(({ html }) => html !== undefined)) [pauseMs, tries] = [FIRST_PAUSE_MS, 0];
    });
    listen('again', () => reconnect(''));
    listen('trouble', ({ message }) => reconnect(`${message}. Trying again…`));
    listen('end', ({ message }) => {
      source.close();
      clearInterval(timer);
      jump.remove();
      showConnection(message === undefined ? '' : `The updates have ended: ${message}`);
    });
    // EventSource's own reconnect stops when a proxy answers with an error while c3 restarts.
    function reconnect(text) {
      if (isClosed) return;
      isClosed = true;
      source.close();
      tries += 1;
      if (tries > MAX_TRIES) return showConnection('No new output for ten minutes. Reload the page to continue.');
      showConnection(text);
      setTimeout(connect, pauseMs);
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
    }
  }
  connect();
}

function isNearEnd() {
  return scrollY + innerHeight >= document.documentElement.scrollHeight - NEAR;
}

/** A reader at the top of a page that is longer than the screen is not moved to its end. */
function wantsEnd() {
  return isNearEnd() && (scrollY > 0 || document.documentElement.scrollHeight <= innerHeight);
}

function showConnection(text) {
  const connection = find('connection');
  connection.hidden = text === '';
  connection.textContent = text;
}

function showState({ title, icon, word, parts, steps, phases }, isAtEnd) {
  if (document.title !== title) find('spoken').textContent = word;
  document.title = title;
  find('icon').href = icon;
  addSteps(steps);
  for (const [id, html] of Object.entries(parts)) {
    const element = find(id);
    if (element) element.innerHTML = html;
  }
  for (const [id, phase] of Object.entries(phases)) showPhase(find(`step-${id}`), phase, isAtEnd);
}

/** Inserts the steps that the page does not have yet, in their order. */
function addSteps(steps) {
  if (steps.length === 0) return;
  const list = find('steps');
  const template = document.createElement('template');
  template.innerHTML = steps.join('');
  for (const [index, step] of [...template.content.children].entries())
    if (!find(step.id)) list.insertBefore(step, list.children[index] ?? null);
  showCopyButtons();
}

/** Opens or closes a step when its phase changes. A step closes only while the reader follows the end of the page. */
function showPhase(step, { kind, fold }, isAtEnd) {
  if (!step || step.dataset.phase === kind) return;
  step.dataset.phase = kind;
  if (fold === 'open') step.open = true;
  if (fold === 'close' && isAtEnd) step.open = false;
}

function showLog({ step, attempt, isFirst, pieces, partial }) {
  const log = find(`log-${step}`);
  if (!log) return;
  const { dataset } = log.closest('.step');
  log.querySelector('.partial')?.remove();
  if (isFirst || dataset.attempt !== String(attempt)) log.replaceChildren();
  dataset.attempt = String(attempt);
  for (const piece of pieces) {
    if (piece.note === undefined) addLines(log, piece);
    // A failing log is read again and again: say it once.
    else if (log.lastElementChild?.textContent !== piece.note) log.append(createNote(piece.note));
  }
  if (log.childElementCount > MAX_LISTS) removeOldLists(log);
  if (partial === '') return;
  const list = document.createElement('ol');
  list.className = 'partial';
  list.innerHTML = `<li>${partial}`;
  log.append(list);
}

function addLines(log, { first, html }) {
  let list = log.lastElementChild;
  if (list?.tagName !== 'OL' || first % CHUNK_LINES === 1) {
    list = document.createElement('ol');
    list.start = first;
    log.append(list);
  }
  list.insertAdjacentHTML('beforeend', html);
}

function removeOldLists(log) {
  while (log.childElementCount >= MAX_LISTS) log.firstElementChild.remove();
  log.prepend(createNote('Older lines are in the raw log.'));
}

function createNote(text) {
  const note = document.createElement('p');
  note.className = 'cut';
  note.textContent = text;
  return note;
}

if (typeof document !== 'undefined') start();
