/** Door 5: the frames a chat page gets for an event of a turn. Requests come with the door itself. */
export type ChatFrame =
  | {
      readonly type: 'message';
      readonly agent_id: string;
      readonly message_id: string;
      readonly content: unknown;
    }
  | { readonly type: 'agent_thinking'; readonly agent_id: string; readonly message_id: string }
  | {
      readonly type: 'response_delta';
      readonly agent_id: string;
      readonly message_id: string;
      readonly delta: string;
    }
  | {
      readonly type: 'tool_call';
      readonly agent_id: string;
      readonly message_id: string;
      readonly tool_call_id: string;
      readonly tool_name: string;
      readonly args: unknown;
    }
  | {
      readonly type: 'tool_progress';
      readonly agent_id: string;
      readonly message_id: string;
      readonly tool_call_id: string;
      readonly progress: unknown;
    }
  | {
      readonly type: 'tool_result';
      readonly agent_id: string;
      readonly message_id: string;
      readonly tool_call_id: string;
      readonly tool_name: string;
      readonly result?: unknown;
      readonly error?: string;
    }
  | {
      readonly type: 'approval_requested';
      readonly agent_id: string;
      readonly message_id: string;
      readonly approval_id: string;
      readonly tool_name: string;
      readonly args: unknown;
    }
  | { readonly type: 'approval_resolved'; readonly approval_id: string; readonly approved: boolean }
  | {
      readonly type: 'team_member';
      readonly agent_id: string;
      readonly message_id: string;
      readonly member_id: string;
      readonly kind: string;
      readonly content?: string;
    }
  | {
      readonly type: 'response';
      readonly agent_id: string;
      readonly message_id: string;
      /** The same text as `content`: deployed pages read one or the other. */
      readonly message: string;
      readonly content: string;
    }
  | {
      readonly type: 'error';
      readonly agent_id: string;
      readonly message_id: string;
      readonly code: string;
      readonly message: string;
    }
  | { readonly type: 'agent_done'; readonly agent_id: string; readonly message_id: string };
