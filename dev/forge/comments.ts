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
}

/** The comments of all pull requests. Each change sends its webhooks. */
export interface Comments {
  comment(pull: Pull, author: string, text: string): Promise<Comment>;
  findComment(repository: Repository, id: number): Comment | undefined;
  editComment(comment: Comment, text: string): Promise<Comment>;
  deleteComment(comment: Comment): Promise<void>;
}

interface CommentsOptions {
  /** Returns the pull request as it is now. */
  find(pull: Pull): Pull;
  send(change: Extract<ForgeChange, { kind: 'comment' }>): Promise<void>;
}

export function createComments({ find, send }: CommentsOptions): Comments {
  const comments = new Map<number, Comment>();
  let last = 100;

  async function tell(action: CommentAction, comment: Comment): Promise<Comment> {
    const current = { ...comment, pull: find(comment.pull) };
    await send({ kind: 'comment', action, comment: current });
    return current;
  }

  return {
    async comment(pull, author, text) {
      last += 1;
      const comment: Comment = { id: last, pull, author, text, createdAt: Date.now() };
      comments.set(comment.id, comment);
      return await tell({ kind: 'created' }, comment);
    },
    findComment(repository, id) {
      const found = comments.get(id);
      return found?.pull.repository === repository ? found : undefined;
    },
    async editComment(comment, text) {
      const changed = { ...comment, text };
      comments.set(comment.id, changed);
      return await tell({ kind: 'edited', before: comment.text }, changed);
    },
    async deleteComment(comment) {
      comments.delete(comment.id);
      await tell({ kind: 'deleted' }, comment);
    },
  };
}
