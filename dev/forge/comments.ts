import type { CommentAction, ForgeChange } from './dialect.ts';
import type { Pull } from './pulls.ts';
import type { Repository } from './repositories.ts';

/** A comment on a pull request. */
export interface Comment {
  readonly id: number;
  readonly pull: Pull;
  readonly author: string;
  readonly text: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** Epoch milliseconds. */
  readonly updatedAt: number;
}

/** The comments of all pull requests. Each change sends its webhooks. */
export interface Comments {
  comment(pull: Pull, author: string, text: string): Promise<Comment>;
  findComment(repository: Repository, id: number): Comment | undefined;
  /** `actor`: the user who changes it. People who may push can change the comments of others. Default: its author. */
  editComment(comment: Comment, text: string, actor?: string): Promise<Comment>;
  deleteComment(comment: Comment, actor?: string): Promise<void>;
}

interface CommentsOptions {
  /** Returns the pull request as it is now. */
  find(pull: Pull): Pull;
  /** Adds to the number of comments of a pull request. */
  count(pull: Pull, change: 1 | -1): Promise<unknown>;
  send(change: Extract<ForgeChange, { kind: 'comment' }>): Promise<void>;
}

export function createComments({ find, count, send }: CommentsOptions): Comments {
  const comments = new Map<number, Comment>();
  let last = 100;

  async function tell(action: CommentAction, comment: Comment, actor = comment.author): Promise<Comment> {
    const current = { ...comment, pull: find(comment.pull) };
    await send({ kind: 'comment', action, comment: current, actor });
    return current;
  }

  return {
    async comment(pull, author, text) {
      last += 1;
      const now = Date.now();
      const comment: Comment = { id: last, pull, author, text, createdAt: now, updatedAt: now };
      comments.set(comment.id, comment);
      await count(pull, 1);
      return await tell({ kind: 'created' }, comment);
    },
    findComment(repository, id) {
      const found = comments.get(id);
      return found?.pull.repository === repository ? found : undefined;
    },
    async editComment(comment, text, actor) {
      const changed = { ...comment, text, updatedAt: Date.now() };
      comments.set(comment.id, changed);
      return await tell({ kind: 'edited', before: comment.text }, changed, actor);
    },
    async deleteComment(comment, actor) {
      comments.delete(comment.id);
      await count(comment.pull, -1);
      await tell({ kind: 'deleted' }, comment, actor);
    },
  };
}
