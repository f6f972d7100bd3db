// Keeps a build's page up to date by server-sent events, and adds what is handy: links to lines, following, copying. Without it the page
// shows the same. The page puts this file into itself as it is, so it imports nothing.

/** Lines of one list, as the server makes them. */
const CHUNK_LINES = 200;
/** Lists that one log keeps of what it shows live: 200,000 lines. Of an endless log the oldest go, and are in the raw log. */
const MAX_LISTS = 1_000;
/** Between attempts to come back: from one to ten seconds. After so many that brought no line, some ten minutes, a page is left open and forgotten. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 10_000;
const MAX_TRIES = 60;
/** So near to the bottom, in pixels, is at the bottom. */
const NEAR = 60;

/**
 * `8s`, `1m 12s`, `2h 5m`, as the server writes times from ten seconds on.
 *
 * @param {number} ms
 */
export function formatDuration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours > 0) return minutes % 60 === 0 ? `${hours}h` : `${hours}h ${minutes % 60}m`;
  if (minutes > 0) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m ${seconds % 60}s`;
  return `${seconds}s`;
}

/**
 * `#test-L12` or `#test-L12-L20`: the step and the first and last line; undefined for any other.
 *
 * @param {string} hash
 */
export function parseLines(hash) {
  const [, step, from, to] = /^#([a-z0-9_.-]+)-L(\d{1,9})(?:-L(\d{1,9}))?$/.exec(hash) ?? [];
  if (step === undefined) return undefined;
  const [first, last] = [Number(from), Number(to ?? from)].sort((one, other) => one - other);
  return { step, first, last };
}

function start() {
  const find = (id) => document.getElementById(id);
  const live = find('live') && JSON.parse(find('live').textContent);
  showLines(find);
  addTools(find);
  if (live) goOn(find, live);
}

/** Shows the lines that the address names, and lets a click on a number name them. */
function showLines(find) {
  function mark() {
    for (const line of document.querySelectorAll('.hit')) line.classList.remove('hit');
    const named = parseLines(location.hash);
    const first = named && find(`${named.step}-L${named.first}`);
    if (!first) return;
    first.closest('details').open = true;
    for (let line = named.first; line <= named.last; line++) {
      const element = find(`${named.step}-L${line}`);
      if (!element) break;
      element.classList.add('hit');
    }
    first.scrollIntoView({ block: 'center' });
  }

  document.addEventListener('click', (event) => {
    const line = event.target.closest?.('.log li[id]');
    // The number stands in the padding; what is written begins behind it.
    if (!line || event.clientX > line.getBoundingClientRect().left + parseFloat(getComputedStyle(line).paddingLeft))
      return;
    const before = parseLines(location.hash);
    const here = parseLines(`#${line.id}`);
    const isRange = event.shiftKey && before?.step === here.step;
    const [first, last] = [Math.min(before?.first ?? 0, here.first), Math.max(before?.first ?? 0, here.first)];
    history.replaceState(null, '', isRange ? `#${here.step}-L${first}-L${last}` : `#${line.id}`);
    const top = scrollY;
    mark();
    scrollTo({ top });
  });
  addEventListener('hashchange', mark);
  mark();
}

function addTools(find) {
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
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    for (const question of document.querySelectorAll('.confirm[open]')) question.open = false;
  });
  showCopy();
}

/** Browsers have a clipboard on HTTPS and on this machine alone. */
function showCopy() {
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

/** @param live `from`: the position where the page ends; `now`: the server's clock when it made the page */
function goOn(find, live) {
  const clock = Date.now() - live.now;
  const jump = find('jump');
  let position = live.from;
  let pauseMs = FIRST_PAUSE_MS;
  let tries = 0;
  let isAtEnd = wantsEnd();

  function tick() {
    for (const time of document.querySelectorAll('[data-since]'))
      time.textContent = formatDuration(Date.now() - clock - Number(time.dataset.since));
  }
  const ticking = setInterval(tick, 1_000);

  function noteScroll() {
    isAtEnd = wantsEnd();
    jump.hidden = isNearEnd();
  }
  function follow() {
    if (isAtEnd) scrollTo({ top: document.documentElement.scrollHeight });
    else noteScroll();
  }
  addEventListener('scroll', noteScroll, { passive: true });
  addEventListener('resize', noteScroll, { passive: true });
  jump.addEventListener('click', () => {
    isAtEnd = true;
    follow();
  });
  noteScroll();

  function connect() {
    const source = new EventSource(`${location.pathname}/events?from=${encodeURIComponent(position)}`);
    let isGone = false;
    function listen(name, act) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId !== '') position = event.lastEventId;
        act(JSON.parse(event.data));
        follow();
      });
    }
    source.addEventListener('open', () => say(find, ''));
    source.addEventListener('error', () => comeBack('Connection lost. Reconnecting…'));
    listen('state', (state) => {
      showState(find, state, isAtEnd);
      tick();
    });
    listen('log', (log) => {
      showLog(find, log);
      if (log.pieces.some(({ html }) => html !== undefined)) [pauseMs, tries] = [FIRST_PAUSE_MS, 0];
    });
    listen('again', () => comeBack(''));
    listen('trouble', ({ message }) => comeBack(`${message}. Trying again…`));
    listen('end', ({ message }) => {
      source.close();
      clearInterval(ticking);
      jump.hidden = true;
      removeEventListener('scroll', noteScroll);
      removeEventListener('resize', noteScroll);
      say(find, message === undefined ? '' : `No more is to come: ${message}`);
    });
    // The browser's own way back gives up where a proxy answers for a c3 that is being restarted.
    function comeBack(words) {
      if (isGone) return;
      isGone = true;
      source.close();
      tries += 1;
      if (tries > MAX_TRIES) return say(find, 'Nothing new for long. Load the page again to go on.');
      say(find, words);
      setTimeout(connect, pauseMs);
      pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS);
    }
  }
  connect();
}

function isNearEnd() {
  return scrollY + innerHeight >= document.documentElement.scrollHeight - NEAR;
}

/** Who has just come and sees the beginning is not followed away from it, however near the end is. */
function wantsEnd() {
  return isNearEnd() && (scrollY > 0 || document.documentElement.scrollHeight <= innerHeight);
}

function say(find, words) {
  const connection = find('connection');
  connection.hidden = words === '';
  connection.textContent = words;
}

function showState(find, { title, icon, word, parts, steps, phases }, isAtEnd) {
  if (document.title !== title) find('spoken').textContent = word;
  document.title = title;
  find('icon').href = icon;
  showSteps(find, steps);
  for (const [id, html] of Object.entries(parts)) {
    const element = find(id);
    if (element) element.innerHTML = html;
  }
  for (const [id, phase] of Object.entries(phases)) showPhase(find(`step-${id}`), phase, isAtEnd);
}

/** Steps that the page does not have yet, in their order; what it has stays. */
function showSteps(find, steps) {
  if (steps.length === 0) return;
  const list = find('steps');
  const template = document.createElement('template');
  template.innerHTML = steps.join('');
  const wanted = [...template.content.children];
  for (const [index, step] of wanted.entries()) {
    if (find(step.id)) continue;
    list.insertBefore(step, list.children[index] ?? null);
  }
  showCopy();
}

/** Opens a step that begins, closes one that passed while its reader follows the end; what somebody opened or closed stays. */
function showPhase(step, phase, isAtEnd) {
  if (!step || step.dataset.phase === phase) return;
  const isNew = step.dataset.phase !== undefined || phase === 'running';
  step.dataset.phase = phase;
  if (!isNew) return;
  if (phase === 'running' || phase === 'failed' || phase === 'timed-out' || phase === 'lost') step.open = true;
  if (phase === 'passed' && isAtEnd) step.open = false;
}

function showLog(find, { step, attempt, isFirst, pieces, partial }) {
  const log = find(`log-${step}`);
  if (!log) return;
  log.querySelector('.partial')?.remove();
  if (isFirst || log.closest('.step').dataset.attempt !== String(attempt)) log.replaceChildren();
  log.closest('.step').dataset.attempt = String(attempt);
  for (const piece of pieces) {
    if (piece.note === undefined) addLines(log, piece);
    else addNote(log, piece.note);
  }
  if (log.childElementCount > MAX_LISTS) shorten(log);
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

function addNote(log, text) {
  // A log that cannot be read is tried again, and each time it is said.
  if (log.lastElementChild?.textContent === text) return;
  const note = document.createElement('p');
  note.className = 'cut';
  note.textContent = text;
  log.append(note);
}

function shorten(log) {
  while (log.childElementCount >= MAX_LISTS) log.firstElementChild.remove();
  const note = document.createElement('p');
  note.className = 'cut';
  note.textContent = 'Older lines are in the raw log.';
  log.prepend(note);
}

if (typeof document !== 'undefined') start();
