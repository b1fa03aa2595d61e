/* Written by `npm run types` from /openapi.json; do not edit. */
export interface paths {
    "/api/chats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Saved conversations, newest first; ?limit, ?before (the next of the page before), ?search. */
        get: operations["get_api_chats"];
        put?: never;
        /** Begins a conversation, or a branch of another one. */
        post: operations["post_api_chats"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chats/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A conversation with its messages. */
        get: operations["get_api_chats_id"];
        put?: never;
        post?: never;
        /** Deletes a conversation. */
        delete: operations["delete_api_chats_id"];
        options?: never;
        head?: never;
        /** Changes title, model or system prompt; null takes one away. */
        patch: operations["patch_api_chats_id"];
        trace?: never;
    };
    "/api/chats/{id}/export.md": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A conversation as Markdown. */
        get: operations["get_api_chats_id_export_md"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chats/{id}/messages": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Says something, or asks for the last answer again; the answer comes as server-sent events (message, progress, delta, then done or error) or, with "stream": false, whole. */
        post: operations["post_api_chats_id_messages"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/chats/{id}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stops the answer that is being written; it is kept so far. */
        post: operations["post_api_chats_id_stop"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Every model there is, with what its files say */
        get: operations["get_api_models"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Deletes a model of the hub's cache (with @REVISION one of its revisions); not while it is loaded */
        delete: operations["delete_api_models_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/{id}/estimate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What a model would need here and how fast it would be (?ctx=, ?concurrency=, ?kv_bits=) */
        get: operations["get_api_models_id_estimate"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/download": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Fetches a model from the hub in the background, if it can be run and fits; what was begun goes on */
        post: operations["post_api_models_download"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/downloads": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Downloads since the server was started, oldest first */
        get: operations["get_api_models_downloads"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/downloads/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One download */
        get: operations["get_api_models_downloads_id"];
        put?: never;
        post?: never;
        /** Cancels a download (what has come stays, until the model is deleted); one that is over is forgotten */
        delete: operations["delete_api_models_downloads_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/downloads/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The download as server-sent events when something has changed: "progress", at last "end" */
        get: operations["get_api_models_downloads_id_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/downloads/{id}/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Pauses a download */
        post: operations["post_api_models_downloads_id_pause"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/downloads/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Goes on with a download that was paused, cancelled or has failed; nothing is fetched twice */
        post: operations["post_api_models_downloads_id_resume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/load": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Loads a model, replacing the loaded one, and answers when it is ready */
        post: operations["post_api_models_load"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/models/unload": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Unloads the model once its answers have ended */
        post: operations["post_api_models_unload"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/performance": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One sample of the server and the machine */
        get: operations["get_api_performance"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/performance/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same twice a second as server-sent events, each one a Performance */
        get: operations["get_api_performance_stream"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/batch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Starts runs of several models, one after another, in the background */
        post: operations["post_api_profiling_batch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/compare-models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Compares models: an array of names, an object, or nothing for every installed model that fits */
        post: operations["post_api_profiling_compare_models"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/diff": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Two stored runs side by side: ?a=ID&b=ID */
        get: operations["get_api_profiling_diff"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stores a report (llmind.report/1) from another machine, marked as such */
        post: operations["post_api_profiling_import"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/optimization-guide": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What makes models faster, and which ones suit this machine; ?topic= for a part of it */
        get: operations["get_api_profiling_optimization_guide"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/run": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Profiles a model and answers when it is done. The run goes on when the client leaves; ?wait_s= waits for another run to end. */
        post: operations["post_api_profiling_run"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Past runs, newest first; ?model=, ?kind=, ?status=, ?imported=true or false, ?limit=, ?before= */
        get: operations["get_api_profiling_runs"];
        put?: never;
        /** Starts a run in the background */
        post: operations["post_api_profiling_runs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** One run: its row, what was asked for, and its report */
        get: operations["get_api_profiling_runs_id"];
        put?: never;
        post?: never;
        /** Deletes a run; one that is running is cancelled and kept */
        delete: operations["delete_api_profiling_runs_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/apply": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Writes the setting that a recommendation of this run is about; answers with its undo, and whether it was proved */
        post: operations["post_api_profiling_runs_id_apply"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/charts.png": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The charts as PNG */
        get: operations["get_api_profiling_runs_id_charts_png"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/charts.svg": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The charts as SVG */
        get: operations["get_api_profiling_runs_id_charts_svg"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What happens in a run as server-sent events, from the first, or from after Last-Event-ID */
        get: operations["get_api_profiling_runs_id_events"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/narrate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** The loaded model, or another one, puts the analysis of this run into words; sentences with a figure that the report does not have, or another bottleneck, are left out */
        post: operations["post_api_profiling_runs_id_narrate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/prove": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Tries a recommendation of this run in turn with its baseline, in the background; the verdict is the new run's "proof", and is shown with the recommendation */
        post: operations["post_api_profiling_runs_id_prove"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/report.csv": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The report's samples as CSV */
        get: operations["get_api_profiling_runs_id_report_csv"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/report.html": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The report as one HTML file */
        get: operations["get_api_profiling_runs_id_report_html"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/report.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The report, llmind.report/1 */
        get: operations["get_api_profiling_runs_id_report_json"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/report.md": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The report as Markdown */
        get: operations["get_api_profiling_runs_id_report_md"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/report.pdf": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The report as a PDF */
        get: operations["get_api_profiling_runs_id_report_pdf"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/report.png": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same as charts.png */
        get: operations["get_api_profiling_runs_id_report_png"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/report.svg": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The same as charts.svg */
        get: operations["get_api_profiling_runs_id_report_svg"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/report.txt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The report as a terminal shows it */
        get: operations["get_api_profiling_runs_id_report_txt"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/runs/{id}/undo": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Puts a setting back: takes the "undo" of apply's answer */
        post: operations["post_api_profiling_runs_id_undo"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/profiling/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What runs and what the machine does; cheap enough to poll */
        get: operations["get_api_profiling_status"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/settings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Every setting: its value, default, bounds and meaning. */
        get: operations["get_api_settings"];
        /** Changes the settings that are given, all or none; null puts one back to its default. */
        put: operations["put_api_settings"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/system": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What this machine and this program are */
        get: operations["get_api_system"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the server is up, and what it has loaded; answers at once, also while a model is loading */
        get: operations["get_health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Counters and histograms as Prometheus reads them (text/plain) */
        get: operations["get_metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This description of everything there is */
        get: operations["get_openapi_json"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/chat/completions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Answers a conversation, whole or as a stream of chunks. */
        post: operations["post_v1_chat_completions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/completions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Continues a text, whole or as a stream of chunks. */
        post: operations["post_v1_completions"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/embeddings": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** One vector for each text: what the model makes of its last token, made to length 1. Of use with models that were trained for it, such as Qwen3-Embedding. */
        post: operations["post_v1_embeddings"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Lists the models that can be used. */
        get: operations["get_v1_models"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Describes one model. */
        get: operations["get_v1_models_id"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description What the backend's own allocator (MLX's) held after the last step. */
        Allocator: {
            active_bytes: number;
            /** @description Kept for later, not in use. */
            cache_bytes: number;
            /** @description The most that was in use. */
            peak_bytes: number;
        } | null;
        ApplyRequest: {
            /** @description true: also when its proof rejected it; otherwise 409 rejected_by_proof. */
            force?: boolean | null;
            /** @description Its id. */
            recommendation: string;
        };
        Chat: {
            /** @description The chat that this one began as a copy of; null: none, or that one was deleted. */
            branch_of: string | null;
            /** Format: date-time */
            created_at: string | null;
            id: string;
            message_count: number;
            messages?: components["schemas"]["ChatMessage"][];
            model: string | null;
            saved: boolean;
            saved_reason: string | null;
            system: string | null;
            /** @description Without one of its own: how the first message begins. */
            title: string;
            /** Format: date-time */
            updated_at: string | null;
        };
        ChatAnswer: {
            /** @enum {string} */
            finish_reason: "stop" | "length" | "cancelled" | "error";
            message: components["schemas"]["ChatMessage"] | null;
            model: string;
            saved: boolean;
            saved_reason: string | null;
            timings: Record<string, never>;
            user_message: components["schemas"]["ChatMessage"] | null;
        };
        ChatCompletion: {
            choices: {
                /** @enum {unknown} */
                finish_reason: "stop" | "length" | "tool_calls";
                index: number;
                logprobs: Record<string, never> | null;
                message: {
                    content: string | null;
                    reasoning_content?: string;
                    refusal: null;
                    /** @constant */
                    role: "assistant";
                    tool_calls?: unknown[];
                };
            }[];
            created: number;
            id: string;
            model: string;
            /** @constant */
            object: "chat.completion";
            /** @description Model, backend, instruction set, cache, adapter: the same ones give the same text for a seed. */
            system_fingerprint: string;
            timings: components["schemas"]["Timings"];
            usage: components["schemas"]["Usage"];
        };
        ChatCompletionRequest: {
            add_generation_prompt?: boolean | null;
            /** @description Further variables of the chat template. */
            chat_template_kwargs?: Record<string, never> | null;
            logprobs?: boolean | null;
            max_completion_tokens?: number | null;
            messages: {
                /** @description A string, or parts of type text (joined by newlines). May be missing where there are tool_calls. */
                content?: unknown;
                name?: string;
                reasoning?: string;
                reasoning_content?: string;
                /**
                 * @description developer is given to the model as system.
                 * @enum {unknown}
                 */
                role: "system" | "developer" | "user" | "assistant" | "tool";
                tool_call_id?: string;
                tool_calls?: unknown[];
            }[];
            /** @description Only [text]. */
            modalities?: unknown;
            /** @description false: the answer ends after the first call. */
            parallel_tool_calls?: boolean | null;
            /**
             * @description Given to the model's chat template as reasoning_effort; none also sets enable_thinking to false there.
             * @enum {unknown}
             */
            reasoning_effort?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | null;
            /** @description text, json_object or json_schema; always enforced, whatever strict says. Not together with tools that may be called. */
            response_format?: Record<string, never> | null;
            /** @description none (the tools are not shown to the model), auto, required, or {type: function, function: {name}}. */
            tool_choice?: unknown;
            /** @description Functions. Under required or a named choice the schema of the arguments is enforced; under auto a call is passed on when it is valid JSON and names a declared function, and strict adds nothing. */
            tools?: unknown[] | null;
            top_logprobs?: number | null;
        } & components["schemas"]["CompletionFields"];
        ChatCreate: {
            /** @description Begins with the first messages of this chat, which stays as it is. */
            branch_of?: string | null;
            /** @description How many of them; needed with branch_of. */
            messages?: number | null;
            model?: string | null;
            /** @description A new chat that does not name it gets the setting system_prompt; a branch the other's. */
            system?: string | null;
            title?: string | null;
        };
        ChatDeleted: {
            deleted: boolean;
            id: string;
        };
        ChatFields: {
            model?: string | null;
            /** @description A new chat that does not name it gets the setting system_prompt. */
            system?: string | null;
            title?: string | null;
        };
        ChatList: {
            chats: components["schemas"]["Chat"][];
            /** @description ?before= of the next page. */
            next: string | null;
        };
        ChatMessage: {
            content: string;
            /** Format: date-time */
            created_at?: string | null;
            error?: string;
            /** @enum {string} */
            finish_reason?: "stop" | "length" | "cancelled" | "error";
            /** @description null: could not be saved. */
            index: number | null;
            model?: string;
            reasoning?: string;
            /** @enum {string} */
            role: "system" | "user" | "assistant" | "tool";
            saved: boolean;
            /** @description Why it is kept in memory only. */
            saved_reason: string | null;
            /** @description It was ended before the model did. */
            stopped?: boolean;
            timings?: Record<string, never>;
        };
        ChatSend: {
            /** @description What the user says, at most 1 MiB. */
            content?: string | null;
            max_tokens?: number | null;
            /** @description The chat's from now on. */
            model?: string | null;
            /**
             * @description Instead of content: answers the last message again.
             * @default false
             */
            regenerate: boolean | null;
            seed?: number | null;
            /** @default true */
            stream: boolean | null;
            temperature?: number | null;
            top_p?: number | null;
        };
        ChatStopped: {
            /** @description false: nothing was being written. */
            stopped: boolean;
        };
        CompareRequest: components["schemas"]["ModelToCompare"][] | components["schemas"]["ProfilingRequest"];
        CompareResult: {
            /** @description By model; the same one twice is "name (2)". */
            comparison_results: {
                [key: string]: {
                    /** @description The name of the LoRA adapter that it ran with. */
                    adapter?: string | null;
                    backend?: string | null;
                    /** @description Against the first model. */
                    change_pct: number | null;
                    ci95: number[] | null;
                    decode_tokens_per_second?: number | null;
                    isa?: string | null;
                    load_time_s: number | null;
                    memory_usage: {
                        used_gb: number | null;
                        weights_bytes: number | null;
                    };
                    message?: string;
                    prefill_tokens_per_second?: number | null;
                    quantization?: string | null;
                    rank: number | null;
                    significant: boolean;
                    /** @enum {unknown} */
                    status: "success" | "error" | null;
                    tokens_per_second: number | null;
                    ttft_ms: number | null;
                    verdict: string | null;
                };
            };
            duration_s: number | null;
            message?: string;
            /** @description The same as in the report, in the order asked for, with spreads. */
            models?: unknown[];
            plots_url: string | null;
            report_url: string | null;
            run_id: string;
            status: components["schemas"]["RunStatus"];
            system_info: components["schemas"]["ProfiledSystem"];
            test_prompt: string | null;
        };
        Completion: {
            choices: {
                /** @enum {unknown} */
                finish_reason: "stop" | "length";
                index: number;
                logprobs: Record<string, never> | null;
                text: string;
            }[];
            created: number;
            id: string;
            model: string;
            /** @constant */
            object: "text_completion";
            system_fingerprint: string;
            timings: components["schemas"]["Timings"];
            usage: components["schemas"]["Usage"];
        };
        /** @description Fields of both kinds of completion. null counts as not given; an unknown field is refused with 400. */
        CompletionFields: {
            /** @description false: neither uses nor leaves computed parts of the prompt. */
            cache_prompt?: boolean | null;
            frequency_penalty?: number | null;
            /** @description true: the model's end tokens do not end the answer; max_tokens, the context or a stop sequence does. For load tools. Refused beside a response_format or tool_choice that constrains the answer. */
            ignore_eos?: boolean | null;
            logit_bias?: {
                [key: string]: number;
            } | null;
            max_tokens?: number | null;
            metadata?: Record<string, never> | null;
            min_p?: number | null;
            /** @description A name of GET /v1/models; without one the loaded model answers, or the default one. */
            model?: string | null;
            /** @description Choices; with a seed, choice i is what seed + i gives alone. */
            n?: number | null;
            presence_penalty?: number | null;
            prompt_cache_key?: string | null;
            prompt_cache_retention?: string | null;
            repetition_penalty?: number | null;
            safety_identifier?: string | null;
            seed?: number | null;
            /** @enum {unknown} */
            service_tier?: "auto" | "default" | null;
            stop?: null | string | string[];
            /** @enum {unknown} */
            store?: false | null;
            stream?: boolean | null;
            stream_options?: {
                /** @description usage so far in every chunk, as vLLM has it */
                continuous_usage_stats?: boolean;
                /** @constant */
                include_obfuscation?: false;
                include_usage?: boolean;
            } | null;
            /** @description 0 is greedy. Sampling fields that are not given are the model's own (generation_config.json). */
            temperature?: number | null;
            /** @description 0: off. */
            top_k?: number | null;
            top_p?: number | null;
            /** @description No effect, as metadata, safety_identifier, prompt_cache_key and prompt_cache_retention. */
            user?: string | null;
        };
        CompletionRequest: {
            /** @description Only the value of n. */
            best_of?: number | null;
            /** @description Not together with logprobs. */
            echo?: boolean | null;
            logprobs?: number | null;
            /** @description A string, token ids, or an array of either; prompts times n: at most 128. */
            prompt: unknown;
        } & components["schemas"]["CompletionFields"];
        Download: {
            /** @description Of the last seconds. */
            bytes_per_second: number | null;
            bytes_per_second_reason?: string;
            /** Format: date-time */
            created: string;
            /** @description What was there before included. */
            done_bytes: number | null;
            done_bytes_reason?: string;
            error: {
                /** @enum {unknown} */
                code: "invalid" | "not_found" | "unsupported" | "limit" | "busy" | "io" | "memory" | "internal";
                /** @description What is wrong and what to do. */
                message: string;
            } | null;
            eta_s: number | null;
            eta_s_reason?: string;
            file: string | null;
            file_reason?: string;
            files: number | null;
            files_done: number | null;
            files_done_reason?: string;
            files_reason?: string;
            forced: boolean;
            id: string;
            /** @description What its configuration says: what it needs, and whether it fits. */
            judgement: string | null;
            judgement_reason?: string;
            model: string;
            /** @description Why it waits. */
            note: string | null;
            /** @description It failed because it cannot be run here, or does not fit: with "force" it is fetched all the same. */
            refused: boolean;
            /**
             * @description The last three are over.
             * @enum {unknown}
             */
            state: "queued" | "listing" | "fetching" | "verifying" | "paused" | "complete" | "failed" | "cancelled";
            total_bytes: number | null;
            total_bytes_reason?: string;
        };
        DownloadList: {
            downloads: components["schemas"]["Download"][];
        };
        DownloadRequest: {
            /**
             * @description Also a model that cannot be run, or does not fit, on this machine.
             * @default false
             */
            force: boolean | null;
            /** @description ORG/NAME, or ORG/NAME@REVISION */
            model: string;
        };
        Embeddings: {
            data: {
                /** @description Numbers, or a string in base64. */
                embedding: unknown;
                index: number;
                /** @constant */
                object: "embedding";
            }[];
            model: string;
            /** @constant */
            object: "list";
            usage: {
                prompt_tokens: number;
                total_tokens: number;
            };
        };
        EmbeddingsRequest: {
            /** @description The first so many, made to length 1 again. */
            dimensions?: number | null;
            /**
             * @description base64: of the numbers as little-endian float32.
             * @enum {unknown}
             */
            encoding_format?: "float" | "base64" | null;
            /** @description A text, texts, token ids, or lists of them; 2048 at most. */
            input: unknown;
            model?: string | null;
            user?: string | null;
        };
        Empty: Record<string, never>;
        /** @description What a model would need on this machine and how fast it would be. Of an architecture that is not supported everything but the first members is null. */
        Estimate: {
            architecture: string;
            concurrency: number | null;
            /** @description Tokens of one sequence, as asked or as the engine would choose. */
            context: number | null;
            /**
             * @description Whether shapes are those of the weight files or of config.json alone.
             * @enum {unknown}
             */
            from: "weights" | "configuration" | null;
            /** @enum {unknown} */
            kv_bits: 8 | 16 | 32 | null;
            limits: {
                /** @description Most sequences that fit, with the context as asked. */
                max_concurrency: number | null;
                /** @description Longest that fits, with the concurrency as asked. */
                max_context: number | null;
                model_context: number | null;
            } | null;
            machine: {
                available_bytes: number | null;
                calibrated: boolean;
                calibrated_at: string | null;
                memory_bytes: number | null;
                pace: components["schemas"]["Pace"];
                /** @description null: it is that of the calibration. */
                pace_age_s: number | null;
                threads: number;
            };
            memory: {
                available_bytes: number | null;
                /** @description What the process will show after one prompt of speed.prompt_tokens. */
                first_prompt_bytes: number;
                /**
                 * @description tight: more than 85 % of what is available.
                 * @enum {unknown}
                 */
                fit: "fits" | "tight" | "does_not_fit" | "unknown";
                /** @description All sequences, their contexts full. */
                kv_bytes: number;
                kv_bytes_per_token: number;
                /** @description The waterfall, from the bottom up: weights, kv_cache, scratch, program. */
                parts: {
                    bytes: number;
                    /** @enum {unknown} */
                    name: "weights" | "kv_cache" | "scratch" | "program";
                    what: string;
                }[];
                program_bytes: number;
                scratch_bytes: number;
                total_bytes: number;
                weights_bytes: number;
            } | null;
            model: string;
            /** @description What this program would need to run the architecture. */
            needs: string | null;
            parameters: number | null;
            prefill_chunk: number | null;
            quantization: string | null;
            speed: {
                /** @description false: the interval is wide, and prefill is not known. */
                calibrated: boolean;
                decode_parts: components["schemas"]["EstimateParts"];
                decode_tokens_per_second: components["schemas"]["Interval"];
                decode_tokens_per_second_all: components["schemas"]["Interval"];
                decode_tokens_per_second_full_context: components["schemas"]["Interval"];
                kv_bytes_per_step: number;
                note: string | null;
                prefill_parts: components["schemas"]["EstimateParts"];
                prefill_tokens_per_second: components["schemas"]["Interval"];
                /** @description Depth of the decode figure and length of the prompt. */
                prompt_tokens: number;
                read_gbps: number | null;
                ttft_ms: components["schemas"]["Interval"];
                weight_bytes_per_step: number;
            } | null;
            supported: boolean;
            /** @description Why not. */
            supported_reason?: string;
            what_if: components["schemas"]["WhatIf"];
        };
        /** @description Where the time goes, milliseconds. */
        EstimateParts: {
            [key: string]: number;
        } | null;
        Health: {
            model: string | null;
            /** @enum {unknown} */
            status: "ok" | "loading" | "degraded";
            uptime_s: number;
            version: string;
        };
        /** @description Between what a figure is expected to lie. */
        Interval: {
            high: number;
            low: number;
            mid: number;
        } | null;
        LoadedModel: {
            /** @description The LoRA adapter that the model is served with, by the last part of its folder's path. */
            adapter: string | null;
            architecture: string | null;
            backend: string | null;
            context: number;
            file_bytes: number;
            isa: string | null;
            kv_bits: number;
            load_ms: number | null;
            loaded_at: string | null;
            max_sequences: number;
            n_threads: number;
            name: string;
            parameters: number;
            precise: boolean;
            prefill_chunk: number;
            /** @description Tokens guessed from the text at once; 0: none. */
            prompt_lookup: number;
            quantization: string | null;
            weight_bytes: number;
        } | null;
        ModelDeleted: {
            deleted: string;
            /** @description Of the disk. */
            freed_bytes: number;
        };
        ModelList: {
            loaded: string | null;
            models: {
                architecture: string | null;
                /** @description false: the interval is wide, or there is no speed. */
                calibrated: boolean;
                context: number | null;
                /** @description With one sequence of the context that the engine would choose. */
                fit: {
                    available_bytes: number | null;
                    context: number;
                    total_bytes: number;
                    /** @enum {unknown} */
                    verdict: "fits" | "tight" | "does_not_fit" | "unknown";
                } | null;
                loaded: boolean;
                name: string;
                parameters: number | null;
                predicted_decode_tokens_per_second: components["schemas"]["Interval"];
                /** @description Why it cannot be used. */
                problem: string | null;
                quantization: string | null;
                size_bytes: number | null;
                /** @enum {unknown} */
                source: "builtin" | "data" | "path" | "hub" | "command line";
                supported: boolean;
            }[];
        };
        ModelLoad: {
            /** @description A name from GET /api/models. */
            model: string;
            options?: {
                /** @description A LoRA adapter, by the name of its folder, which lies among the models; an empty string: none. Without it the model has the one that the server was started with for it. */
                adapter?: string | null;
                /** @description One of GET /api/system's backends. */
                backend?: string | null;
                context?: number | null;
                isa?: string | null;
                /** @enum {unknown} */
                kv_bits?: 8 | 16 | 32 | null;
                max_sequences?: number | null;
                precise?: boolean | null;
                prefill_chunk?: number | null;
                /** @description Tokens guessed from the text so far at once. The answer is the same, token for token. */
                prompt_lookup?: number | null;
                threads?: number | null;
            } | null;
            /**
             * @description false: refuse when it does not fit beside the loaded one.
             * @default true
             */
            unload_current: boolean | null;
        };
        ModelLoaded: {
            active_sequences: number | null;
            allocator: components["schemas"]["Allocator"];
            kv: {
                bytes: number;
                pages_cached: number;
                pages_total: number;
                pages_used: number;
                used_bytes: number;
            } | null;
            load_ms: number;
            model: components["schemas"]["LoadedModel"];
            /**
             * @description parked: a profiling run times something; requests wait
             * @enum {unknown}
             */
            phase: "empty" | "loading" | "ready" | "changing" | "parked";
            queued_requests: number | null;
            waited_ms: number;
            waiting_for_model: number;
        };
        ModelRecommendations: {
            model: string;
            performance: string | null;
            size: string;
            use_case: string;
        }[] | null;
        ModelToCompare: string | {
            /** @description cpu or mlx. */
            backend?: string | null;
            model: string;
        };
        ModelUnloaded: {
            unloaded: string | null;
        };
        NarrateRequest: {
            /** @description Who says it; null: the loaded model, else the default one. */
            model?: string | null;
        };
        /** @description What a model made of an analysis. Of its sentences those are left out that have a figure which was not given to it, or name another bottleneck than the analysis does. */
        Narration: {
            /** @description The lines that the model was given. */
            figures: string;
            left_out: number;
            model: string;
            sentences: {
                kept: boolean;
                /** @description Why it is left out. */
                reason: string | null;
                text: string;
            }[];
            /** @description The sentences that are kept. */
            text: string | null;
            text_reason?: string;
            took_ms: number;
        };
        OpenAIModel: {
            created: number;
            id: string;
            /** @description Tokens of context the model was made for. */
            max_model_len: number;
            /** @constant */
            object: "model";
            /** @description Where it was found: builtin, data, path, hub. */
            owned_by: string;
        };
        OpenAIModelList: {
            data: components["schemas"]["OpenAIModel"][];
            /** @constant */
            object: "list";
        };
        OpenApi: Record<string, never>;
        OptimizationGuide: Record<string, never>;
        /** @description How fast all threads together read memory, for several amounts that are read again and again, and compute. */
        Pace: {
            int8_gops: number;
            int8_gops_high: number;
            int8_gops_low: number;
            n_threads: number;
            read: Record<string, never>[];
        } | null;
        Performance: {
            active_sequences: number | null;
            allocator: components["schemas"]["Allocator"];
            answers: {
                cancelled: number;
                error: number;
                length: number;
                stop: number;
            };
            /** @description What operations cost on this machine (llmind system --calibrate). */
            calibration?: Record<string, never> | null;
            cpu: {
                busy: number | null;
                cgroup_cores: number | null;
                cores: {
                    busy: number | null;
                    id: number;
                    mhz: number | null;
                }[];
                mhz: number | null;
                mhz_source: string | null;
                power_w: number | null;
                steal: number | null;
                temperature_c: number | null;
                temperature_source: string | null;
            };
            disconnects: number;
            gpus: {
                busy: number | null;
                graphics_mhz: number | null;
                memory_mhz: number | null;
                memory_total_bytes: number | null;
                memory_used_bytes: number | null;
                name: string;
                power_limit_w: number | null;
                power_w: number | null;
                temperature_c: number | null;
            }[] | null;
            interval_ms: number;
            kv: {
                bytes: number;
                pages_cached: number;
                pages_total: number;
                pages_used: number;
                used_bytes: number;
            } | null;
            memory: {
                available_bytes: number | null;
                limit_bytes: number | null;
                server: {
                    anonymous_bytes: number;
                    cpu_s: number | null;
                    file_bytes: number;
                    pid: number;
                    resident_bytes: number;
                    resident_peak_bytes: number;
                    swap_bytes: number;
                    threads: number | null;
                } | null;
                total_bytes: number | null;
                worker: {
                    anonymous_bytes: number;
                    cpu_s: number | null;
                    file_bytes: number;
                    pid: number;
                    resident_bytes: number;
                    resident_peak_bytes: number;
                    swap_bytes: number;
                    threads: number | null;
                } | null;
            };
            model: components["schemas"]["LoadedModel"];
            /**
             * @description parked: a profiling run times something; requests wait
             * @enum {unknown}
             */
            phase: "empty" | "loading" | "ready" | "changing" | "parked";
            queued_requests: number | null;
            /** @description Mean of whole answers since the start. */
            response_s?: number | null;
            sequence: number;
            time: string;
            tokens: {
                cached: number;
                generated: number;
                prompt: number;
            };
            tokens_per_second: number;
            uptime_s: number;
            waiting_for_model: number;
        };
        Problem: {
            error: {
                code: string | null;
                /** @description What is wrong and what to do. */
                message: string;
                /** @description The field that is wrong. */
                param: string | null;
                type: string;
            };
        };
        ProfiledSystem: {
            cpu: string | null;
            current_model: string | null;
            gpu: string | null;
            hardware_profile: string | null;
            memory_gb: number | null;
            os: string | null;
        };
        ProfilingRequest: {
            /** @description baseline, high_temperature, low_temperature, short_response, long_response, threads, isa, kv_bits, prefill_chunk, concurrency, prefix_cache; one value as threads=4; temperature=T (0 to 2) and prompt_lookup only where they are named; []: none, null: all. */
            configurations?: string[] | null;
            /** @enum {unknown} */
            kind?: "profile" | "compare" | null;
            knobs?: {
                backend?: string | null;
                context?: number | null;
                isa?: string | null;
                /** @enum {unknown} */
                kv_bits?: 8 | 16 | 32 | null;
                precise?: boolean | null;
                prefill_chunk?: number | null;
                prompt_lookup?: number | null;
                threads?: number | null;
            } | null;
            max_tokens?: number | null;
            /** @description null: the loaded model, else the default one. */
            model_name?: string | null;
            /** @description For compare, and for batch. One as an object is run on the backend it names, whatever the others run on: so one model is compared with itself. */
            models?: components["schemas"]["ModelToCompare"][] | null;
            /** @description 2 repeats within 50 s; indicative. */
            quick_mode?: boolean | null;
            /** @description Prompts without the chat template. */
            raw?: boolean | null;
            repeats?: number | null;
            /** @description Another OpenAI-compatible server instead of a model; 403 unless this server allows it. */
            target?: null | string | {
                /** @description 403 unless the server was started with --allow-local-targets. */
                allow_local?: boolean | null;
                /** @description Refused over HTTP (403 target_key_off), whatever its value: keys are sent by llmind profile --target only. */
                key_env?: string | null;
                model?: string | null;
                url: string;
            };
            /** @description Instead of simple, medium and complex. */
            test_prompts?: string[] | null;
            trace?: boolean | null;
            /** @description When it does not fit beside the loaded model: that one is unloaded, and loaded again afterwards. */
            unload_current?: boolean | null;
        };
        ProfilingResult: {
            /** @description As in the report: performance_summary, strengths, bottlenecks, recommendations, roofline, two_term, quality. */
            analysis: Record<string, never> | null;
            duration_s: number | null;
            /** @description Why it is no success; what was measured is there all the same. */
            message?: string;
            model_recommendations: components["schemas"]["ModelRecommendations"];
            /** @description By configuration. */
            optimization_configs: {
                [key: string]: {
                    /** @description At most one: it really beats the baseline. */
                    best: boolean | null;
                    /** @description higher or lower. */
                    better?: string | null;
                    /** @description Against the baseline. */
                    change_pct: number | null;
                    /** @description Percent. */
                    ci95: number[] | null;
                    /** @description The figure that change_pct is about. */
                    compared?: string | null;
                    /** @description That figure of the baseline beside it. */
                    compared_baseline?: unknown;
                    decode_tokens_per_second?: number | null;
                    indicative?: boolean | null;
                    knobs?: Record<string, never> | null;
                    label?: string | null;
                    max_tokens: number | null;
                    message?: string;
                    outcome?: string | null;
                    prompt_tokens?: number | null;
                    significant: boolean | null;
                    temperature: number | null;
                    /** @description prompt, prefill or decode. */
                    test?: string | null;
                    tokens_per_second: number | null;
                    /** @description Seconds. */
                    total_time: number | null;
                    ttft_ms?: number | null;
                    verdict?: string | null;
                    verdict_reason?: string;
                };
            };
            plots_url: string | null;
            /** @description By test: simple, medium, complex, prompt_1 ... */
            profiling_results: {
                [key: string]: {
                    /** @description Means of the repeats that went well. */
                    average: {
                        [key: string]: number | string | null;
                    };
                    /** @enum {unknown} */
                    complexity: "simple" | "medium" | "complex" | "custom";
                    grade?: string | null;
                    prompt: string | null;
                    results: components["schemas"]["ProfilingSample"][];
                    /** @description By figure: n, mean, median, iqr, sd, cv, ci95 ... */
                    spread: Record<string, never> | null;
                };
            };
            recommendations: components["schemas"]["ModelRecommendations"];
            report_url: string | null;
            run_id: string;
            saved?: boolean | null;
            status: components["schemas"]["RunStatus"];
            system_info: components["schemas"]["ProfiledSystem"];
        };
        ProfilingSample: {
            /** @description Percent of the cores this program may use. */
            cpu_usage: number | null;
            decode_tokens_per_second: number | null;
            generated_tokens: number | null;
            /** @description Percent. */
            gpu_utilization: number | null;
            itl_ms: {
                p50: number | null;
                p90: number | null;
                p99: number | null;
            };
            memory_usage: {
                footprint_peak_bytes: number | null;
                kv_bytes: number | null;
                used_gb: number | null;
                weights_bytes: number | null;
            };
            outcome: string | null;
            power_w: number | null;
            prefill_tokens_per_second: number | null;
            prompt_tokens: number | null;
            tokens_per_second: number | null;
            /** @description Seconds. */
            total_time: number | null;
            ttft_ms: number | null;
        };
        ProfilingStatus: {
            current_metrics: {
                /** @description Seconds. */
                avg_response_time: number | null;
                /** @description Percent. */
                cpu_usage: number | null;
                /** @description Percent. */
                gpu_utilization: number | null;
                memory_usage: {
                    total_gb: number | null;
                    used_gb: number | null;
                    worker_gb: number | null;
                };
                power_w: number | null;
                temperature_c: number | null;
                tokens_per_second: number | null;
            };
            model_info: components["schemas"]["LoadedModel"];
            profiling_available: boolean;
            /** @description Whether a run may name another server as its target: --allow-remote-targets. */
            remote_targets: boolean;
            running: {
                eta_s: number | null;
                kind?: string | null;
                model?: string | null;
                phase: string | null;
                progress: number | null;
                run_id: string | null;
                started?: string | null;
                step: string | null;
                waiting?: number | null;
            } | null;
            /** @enum {unknown} */
            status: "idle" | "running";
            system: {
                cpu: string | null;
                gpu: string | null;
                hardware_profile: string | null;
                memory_gb: number | null;
                os: string | null;
            };
        };
        /** @description What trying a recommendation found. In the run that was proved: with proof_run_id and at. */
        Proof: {
            at?: string;
            /** @enum {unknown} */
            better: "higher" | "lower" | null;
            blocks: number;
            change_pct: number | null;
            /** @description Percent. */
            ci95: number[] | null;
            /** @description The figure that change_pct and ci95 are about. */
            compared: string | null;
            proof_run_id?: string;
            /** @description The run whose baseline it was tried against. */
            proves: string;
            /** @enum {unknown} */
            reason: "better" | "worse" | "no_real_difference" | "too_wide" | "unstable" | "disturbed" | "failed";
            recommendation: string;
            /** @description 4 threads → 2: decode +31 % [95 % CI +27, +35], kept */
            sentence: string;
            /** @enum {unknown} */
            verdict: "kept" | "rejected" | "unclear";
        };
        ProveRequest: {
            /** @description Of A B B A, each in fresh processes. null: 5, or of a fast model as many as fit into half a minute, at most 20. More make the interval narrower. */
            blocks?: number | null;
            /** @description The id of a provable recommendation of the run, or any one configuration: threads=N, kv_bits=N, prefill_chunk=N, prompt_lookup=N, isa=NAME, concurrency=N, temperature=T, prefix_cache, high_temperature, low_temperature, short_response, long_response. */
            recommendation: string;
            /** @description As in ProfilingRequest. */
            unload_current?: boolean | null;
        };
        RecommendationApplied: {
            applied: Record<string, never>;
            proof: null | components["schemas"]["Proof"];
            /** @description Its newest proof kept it. */
            proved: boolean;
            /** @enum {unknown} */
            takes_effect: "at_once" | "next_load" | "next_start";
            undo: components["schemas"]["SettingUndo"];
            /** @description Why it is not proved. */
            warning: string | null;
        };
        /** @description docs/report.schema.json has all of it. */
        Report: {
            /** @constant */
            schema: "llmind.report/1";
        };
        Run: {
            report: Record<string, never> | null;
            request: Record<string, never> | null;
        } & components["schemas"]["RunRow"];
        RunDeleted: {
            run_id: string;
            /** @enum {unknown} */
            status: "deleted" | "cancelling";
        };
        RunDiff: {
            a: components["schemas"]["RunRow"];
            b: components["schemas"]["RunRow"];
            comparable: boolean;
            figures: Record<string, never>[];
            flags: Record<string, never>[];
            warnings: string[];
        };
        RunImported: {
            run_id: string;
            url: string;
        };
        RunList: {
            /** @description ?before= of the next page. */
            next: string | null;
            runs: components["schemas"]["RunRow"][];
        };
        RunRow: {
            created: string;
            decode_tokens_per_second: number | null;
            duration_s: number | null;
            grade: string | null;
            id: string;
            imported: boolean;
            kind: string | null;
            machine?: string | null;
            memory_bytes: number | null;
            message?: string | null;
            mode: string | null;
            model: string | null;
            prefill_tokens_per_second: number | null;
            /** @description Of kind prove: what it found. */
            proof: null | components["schemas"]["Proof"];
            /** @description Of kind prove: the id of the run it is about, which may be deleted by now. */
            proves: string | null;
            quantization?: string | null;
            saved: boolean;
            saved_reason?: string | null;
            status: components["schemas"]["RunStatus"];
            tokens_per_second: number | null;
            /** @description Against the last successful run of the same model, flags and machine. */
            trend: Record<string, never> | null;
            ttft_ms: number | null;
        };
        RunStarted: {
            events_url: string;
            run_id: string;
            /** @description Of a batch: all of them, in order. */
            run_ids: string[];
            /** @constant */
            status: "running";
            url: string;
        };
        /** @enum {unknown} */
        RunStatus: "success" | "cancelled" | "failed" | "interrupted" | "running" | "waiting";
        Settings: {
            defaults: Record<string, never>;
            saved: boolean;
            saved_reason: string | null;
            schema: Record<string, never>[];
            values: Record<string, never>;
        };
        /** @description Keys of the schema that GET answers, with their new values; null is the default. */
        SettingsChange: Record<string, never>;
        SettingUndo: {
            key: string;
            previous: string | number | boolean | null;
            /** @description What the setting must still be; 409 otherwise. */
            value?: string | number | boolean | null;
        };
        SettingUndone: {
            restored: Record<string, never>;
            takes_effect: string;
        };
        System: {
            /** @description What models can be computed with here, the default first: cpu, and mlx where it was built in. */
            backends: string[];
            cpu: {
                cores_allowed: number;
                cores_online: number;
                features: {
                    [key: string]: boolean;
                };
                last_level_cache_bytes: number | null;
                name: string;
                quota_cores: number | null;
                usable_threads: number;
            };
            /** @description Where chats, settings and runs are kept; null: nothing is saved. */
            data_folder: string | null;
            data_folder_reason?: string;
            gpus: {
                busy: number | null;
                graphics_mhz: number | null;
                memory_mhz: number | null;
                memory_total_bytes: number | null;
                memory_used_bytes: number | null;
                name: string;
                power_limit_w: number | null;
                power_w: number | null;
                temperature_c: number | null;
            }[] | null;
            memory: {
                limit_bytes: number | null;
                total_bytes: number | null;
            };
            os: {
                machine: string | null;
                name: string;
                release: string | null;
            } | null;
            program: {
                commit: string | null;
                name: string;
                uptime_s: number;
                version: string;
            };
        };
        /** @description Of the first choice. null: it did not happen (no second token, say). */
        Timings: {
            cached_tokens: number;
            decode_ms: number | null;
            decode_tokens_per_second: number | null;
            /** @description Tokens guessed (prompt lookup); absent where none was. */
            draft_n?: number;
            /** @description Of them right. */
            draft_n_accepted?: number;
            prefill_ms: number | null;
            prefill_tokens_per_second: number | null;
            queue_ms: number | null;
            ttft_ms: number | null;
        };
        Usage: {
            completion_tokens: number;
            completion_tokens_details: {
                reasoning_tokens: number;
            };
            prompt_tokens: number;
            prompt_tokens_details: {
                cached_tokens: number;
            };
            total_tokens: number;
        };
        /** @description Other weights, contexts and numbers of sequences. step_ms = bits[i].weights_ms[s] + sequences[s] * context / 1000 * attention_ms_per_1k[k] + fixed_ms[s], where s indexes coefficients.sequences and k coefficients.kv_bits: whoever moves a slider computes the same figures. */
        WhatIf: {
            bits: ({
                bits: number;
                current: boolean;
                label: string;
                /** @description Weights that one step of one sequence reads. */
                streamed_bytes: number;
                weight_bytes: number;
                /** @description By coefficients.sequences. */
                weights_ms: (number | null)[];
            } & components["schemas"]["WhatIfRow"])[];
            coefficients: {
                /** @description Of one sequence, for 1,000 tokens of context. */
                attention_ms_per_1k: (number | null)[];
                fixed_ms: (number | null)[];
                high: number | null;
                kv_bits: number[];
                kv_bytes_per_token: (number | null)[];
                /** @description Factors on a speed: the interval. */
                low: number | null;
                model_context: number;
                /** @description Scratch and program. */
                other_bytes: number;
                sequences: number[];
            };
            concurrency: ({
                concurrency: number;
                kv_bytes: number;
            } & components["schemas"]["WhatIfRow"])[];
            /** @description Of the tables of bits and of concurrency. */
            context: number;
            contexts: ({
                context: number;
                kv_bytes: number;
            } & components["schemas"]["WhatIfRow"])[];
            formula: string;
            /** @enum {unknown} */
            kv_bits: 8 | 16;
            /** @enum {unknown} */
            source: "calibration" | "two_term" | "measured" | "bytes";
        } | null;
        WhatIfRow: {
            /** @description Of one sequence. */
            decode_tokens_per_second: number | null;
            /** @description Of all sequences together. */
            decode_tokens_per_second_all: number | null;
            /** @description [low, high] of decode_tokens_per_second. */
            interval: number[] | null;
            /** @description Of one decode step of all sequences. */
            step_ms: number | null;
            /** @description Memory: weights, KV cache, scratch and program. */
            total_bytes: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    get_api_chats: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Saved conversations, newest first; ?limit, ?before (the next of the page before), ?search. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChatList"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_chats: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ChatCreate"];
            };
        };
        responses: {
            /** @description Begins a conversation, or a branch of another one. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Chat"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_chats_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A conversation with its messages. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Chat"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    delete_api_chats_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deletes a conversation. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChatDeleted"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    patch_api_chats_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ChatFields"];
            };
        };
        responses: {
            /** @description Changes title, model or system prompt; null takes one away. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Chat"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_chats_id_export_md: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A conversation as Markdown. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_chats_id_messages: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ChatSend"];
            };
        };
        responses: {
            /** @description Says something, or asks for the last answer again; the answer comes as server-sent events (message, progress, delta, then done or error) or, with "stream": false, whole. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChatAnswer"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_chats_id_stop: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Stops the answer that is being written; it is kept so far. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChatStopped"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_models: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Every model there is, with what its files say */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelList"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    delete_api_models_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deletes a model of the hub's cache (with @REVISION one of its revisions); not while it is loaded */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelDeleted"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_models_id_estimate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What a model would need here and how fast it would be (?ctx=, ?concurrency=, ?kv_bits=) */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Estimate"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_models_download: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["DownloadRequest"];
            };
        };
        responses: {
            /** @description Fetches a model from the hub in the background, if it can be run and fits; what was begun goes on */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Download"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_models_downloads: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Downloads since the server was started, oldest first */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DownloadList"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_models_downloads_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One download */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Download"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    delete_api_models_downloads_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Cancels a download (what has come stays, until the model is deleted); one that is over is forgotten */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Download"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_models_downloads_id_events: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The download as server-sent events when something has changed: "progress", at last "end" */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_models_downloads_id_pause: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Empty"];
            };
        };
        responses: {
            /** @description Pauses a download */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Download"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_models_downloads_id_resume: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Empty"];
            };
        };
        responses: {
            /** @description Goes on with a download that was paused, cancelled or has failed; nothing is fetched twice */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Download"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_models_load: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ModelLoad"];
            };
        };
        responses: {
            /** @description Loads a model, replacing the loaded one, and answers when it is ready */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelLoaded"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_models_unload: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Empty"];
            };
        };
        responses: {
            /** @description Unloads the model once its answers have ended */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelUnloaded"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_performance: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One sample of the server and the machine */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Performance"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_performance_stream: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The same twice a second as server-sent events, each one a Performance */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_profiling_batch: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ProfilingRequest"];
            };
        };
        responses: {
            /** @description Starts runs of several models, one after another, in the background */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunStarted"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_profiling_compare_models: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["CompareRequest"];
            };
        };
        responses: {
            /** @description Compares models: an array of names, an object, or nothing for every installed model that fits */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CompareResult"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_diff: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Two stored runs side by side: ?a=ID&b=ID */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunDiff"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_profiling_import: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["Report"];
            };
        };
        responses: {
            /** @description Stores a report (llmind.report/1) from another machine, marked as such */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunImported"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_optimization_guide: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What makes models faster, and which ones suit this machine; ?topic= for a part of it */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OptimizationGuide"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_profiling_run: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ProfilingRequest"];
            };
        };
        responses: {
            /** @description Profiles a model and answers when it is done. The run goes on when the client leaves; ?wait_s= waits for another run to end. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProfilingResult"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Past runs, newest first; ?model=, ?kind=, ?status=, ?imported=true or false, ?limit=, ?before= */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunList"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_profiling_runs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ProfilingRequest"];
            };
        };
        responses: {
            /** @description Starts a run in the background */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunStarted"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description One run: its row, what was asked for, and its report */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Run"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    delete_api_profiling_runs_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Deletes a run; one that is running is cancelled and kept */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunDeleted"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_profiling_runs_id_apply: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ApplyRequest"];
            };
        };
        responses: {
            /** @description Writes the setting that a recommendation of this run is about; answers with its undo, and whether it was proved */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecommendationApplied"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_charts_png: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The charts as PNG */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_charts_svg: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The charts as SVG */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_events: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What happens in a run as server-sent events, from the first, or from after Last-Event-ID */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_profiling_runs_id_narrate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["NarrateRequest"];
            };
        };
        responses: {
            /** @description The loaded model, or another one, puts the analysis of this run into words; sentences with a figure that the report does not have, or another bottleneck, are left out */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Narration"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_profiling_runs_id_prove: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ProveRequest"];
            };
        };
        responses: {
            /** @description Tries a recommendation of this run in turn with its baseline, in the background; the verdict is the new run's "proof", and is shown with the recommendation */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RunStarted"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_report_csv: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report's samples as CSV */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_report_html: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report as one HTML file */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_report_json: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report, llmind.report/1 */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Report"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_report_md: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report as Markdown */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_report_pdf: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report as a PDF */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_report_png: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The same as charts.png */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_report_svg: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The same as charts.svg */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_runs_id_report_txt: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report as a terminal shows it */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_api_profiling_runs_id_undo: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["SettingUndo"];
            };
        };
        responses: {
            /** @description Puts a setting back: takes the "undo" of apply's answer */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SettingUndone"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_profiling_status: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What runs and what the machine does; cheap enough to poll */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ProfilingStatus"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_settings: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Every setting: its value, default, bounds and meaning. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Settings"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    put_api_settings: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["SettingsChange"];
            };
        };
        responses: {
            /** @description Changes the settings that are given, all or none; null puts one back to its default. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Settings"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_api_system: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description What this machine and this program are */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["System"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Whether the server is up, and what it has loaded; answers at once, also while a model is loading */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Counters and histograms as Prometheus reads them (text/plain) */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_openapi_json: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description This description of everything there is */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpenApi"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_v1_chat_completions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["ChatCompletionRequest"];
            };
        };
        responses: {
            /** @description Answers a conversation, whole or as a stream of chunks. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChatCompletion"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_v1_completions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["CompletionRequest"];
            };
        };
        responses: {
            /** @description Continues a text, whole or as a stream of chunks. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Completion"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    post_v1_embeddings: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["EmbeddingsRequest"];
            };
        };
        responses: {
            /** @description One vector for each text: what the model makes of its last token, made to length 1. Of use with models that were trained for it, such as Qwen3-Embedding. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Embeddings"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_v1_models: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Lists the models that can be used. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpenAIModelList"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
    get_v1_models_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Describes one model. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OpenAIModel"];
                };
            };
            /** @description What is wrong, and what to do */
            default: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
