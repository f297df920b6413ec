/*
 * go.h - `go(f, a, b, c)`: Go's go statement, as close as C allows.
 *
 *	go(say, "world", 5);
 *	go(serve, listener);
 *	go(work);
 *
 * Starts f(a, b, c) in a new goroutine. f and up to eight arguments are evaluated once, here and now,
 * in no promised order, and copied; f is any function or pointer to one, and what it returns is
 * dropped. Arguments keep the type they have here and are converted to f's parameters by the call, as
 * in any call with a prototype; arrays and string literals pass as pointers, structures by value. (A
 * literal 0 for a pointer parameter is an int here: write NULL.)
 *
 * The expression's value is 0, or negative where no goroutine could be started, f then does not run:
 *	-ENOMEM  no memory for a stack
 *	-EAGAIN  go_options.goroutines_max are alive
 * It never blocks. The new goroutine runs some time after; the caller goes on first.
 *
 * How: the arguments are stored in a structure local to the place, whose bytes go_spawn copies to the
 * new stack, and a function local to the place knows that structure and does the call. gcc has nested
 * functions and clang has blocks (-fblocks); neither captures anything, so that there is no
 * trampoline, no executable stack and no blocks runtime.
 */
#ifndef CHAND_RUNTIME_GO_H
#define CHAND_RUNTIME_GO_H

#include "server/runtime/goroutine.h"

#include <stddef.h>

/* Arguments of one go statement together; a goroutine's first page has to hold them. */
#define GO_ARGS_BYTES_MAX 512

/*
 * What go() calls: starts call(code, copy of args) where the copy is aligned to 16. `code` is passed
 * through as it is.
 */
int go_spawn(const struct go_site *site, void (*call)(void *code, void *args), void *code,
	const void *args, size_t args_bytes);

#define go(...) \
	GO_PICK_(__VA_ARGS__, GO_8_, GO_7_, GO_6_, GO_5_, GO_4_, GO_3_, GO_2_, GO_1_, GO_0_, ) \
	(__VA_ARGS__)

#define GO_PICK_(f, a1, a2, a3, a4, a5, a6, a7, a8, name, ...) name

/* Pieces of a start, one argument each: its evaluation, its field, the field's value. */
#define GO_EVAL_(n, a) __auto_type go_##n##_ = (a);
#define GO_FIELD_(n) __typeof__(go_##n##_) a##n;
#define GO_INIT_(n) .a##n = go_##n##_,
#define GO_ARG_(n) go_args_->a##n

#define GO_0_(fn) GO_START_(fn, , , , ())
#define GO_1_(fn, a) \
	GO_START_(fn, GO_EVAL_(1, a), \
		GO_FIELD_(1), \
		GO_INIT_(1), \
		(GO_ARG_(1)))
#define GO_2_(fn, a, b) \
	GO_START_(fn, GO_EVAL_(1, a) GO_EVAL_(2, b), \
		GO_FIELD_(1) GO_FIELD_(2), \
		GO_INIT_(1) GO_INIT_(2), \
		(GO_ARG_(1), GO_ARG_(2)))
#define GO_3_(fn, a, b, c) \
	GO_START_(fn, GO_EVAL_(1, a) GO_EVAL_(2, b) GO_EVAL_(3, c), \
		GO_FIELD_(1) GO_FIELD_(2) GO_FIELD_(3), \
		GO_INIT_(1) GO_INIT_(2) GO_INIT_(3), \
		(GO_ARG_(1), GO_ARG_(2), GO_ARG_(3)))
#define GO_4_(fn, a, b, c, d) \
	GO_START_(fn, GO_EVAL_(1, a) GO_EVAL_(2, b) GO_EVAL_(3, c) GO_EVAL_(4, d), \
		GO_FIELD_(1) GO_FIELD_(2) GO_FIELD_(3) GO_FIELD_(4), \
		GO_INIT_(1) GO_INIT_(2) GO_INIT_(3) GO_INIT_(4), \
		(GO_ARG_(1), GO_ARG_(2), GO_ARG_(3), GO_ARG_(4)))
#define GO_5_(fn, a, b, c, d, e) \
	GO_START_(fn, GO_EVAL_(1, a) GO_EVAL_(2, b) GO_EVAL_(3, c) GO_EVAL_(4, d) GO_EVAL_(5, e), \
		GO_FIELD_(1) GO_FIELD_(2) GO_FIELD_(3) GO_FIELD_(4) GO_FIELD_(5), \
		GO_INIT_(1) GO_INIT_(2) GO_INIT_(3) GO_INIT_(4) GO_INIT_(5), \
		(GO_ARG_(1), GO_ARG_(2), GO_ARG_(3), GO_ARG_(4), GO_ARG_(5)))
#define GO_6_(fn, a, b, c, d, e, f) \
	GO_START_(fn, GO_EVAL_(1, a) GO_EVAL_(2, b) GO_EVAL_(3, c) GO_EVAL_(4, d) GO_EVAL_(5, e) \
		GO_EVAL_(6, f), \
		GO_FIELD_(1) GO_FIELD_(2) GO_FIELD_(3) GO_FIELD_(4) GO_FIELD_(5) GO_FIELD_(6), \
		GO_INIT_(1) GO_INIT_(2) GO_INIT_(3) GO_INIT_(4) GO_INIT_(5) GO_INIT_(6), \
		(GO_ARG_(1), GO_ARG_(2), GO_ARG_(3), GO_ARG_(4), GO_ARG_(5), GO_ARG_(6)))
#define GO_7_(fn, a, b, c, d, e, f, g) \
	GO_START_(fn, GO_EVAL_(1, a) GO_EVAL_(2, b) GO_EVAL_(3, c) GO_EVAL_(4, d) GO_EVAL_(5, e) \
		GO_EVAL_(6, f) GO_EVAL_(7, g), \
		GO_FIELD_(1) GO_FIELD_(2) GO_FIELD_(3) GO_FIELD_(4) GO_FIELD_(5) GO_FIELD_(6) \
		GO_FIELD_(7), \
		GO_INIT_(1) GO_INIT_(2) GO_INIT_(3) GO_INIT_(4) GO_INIT_(5) GO_INIT_(6) \
		GO_INIT_(7), \
		(GO_ARG_(1), GO_ARG_(2), GO_ARG_(3), GO_ARG_(4), GO_ARG_(5), GO_ARG_(6), \
		GO_ARG_(7)))
#define GO_8_(fn, a, b, c, d, e, f, g, h) \
	GO_START_(fn, GO_EVAL_(1, a) GO_EVAL_(2, b) GO_EVAL_(3, c) GO_EVAL_(4, d) GO_EVAL_(5, e) \
		GO_EVAL_(6, f) GO_EVAL_(7, g) GO_EVAL_(8, h), \
		GO_FIELD_(1) GO_FIELD_(2) GO_FIELD_(3) GO_FIELD_(4) GO_FIELD_(5) GO_FIELD_(6) \
		GO_FIELD_(7) GO_FIELD_(8), \
		GO_INIT_(1) GO_INIT_(2) GO_INIT_(3) GO_INIT_(4) GO_INIT_(5) GO_INIT_(6) \
		GO_INIT_(7) GO_INIT_(8), \
		(GO_ARG_(1), GO_ARG_(2), GO_ARG_(3), GO_ARG_(4), GO_ARG_(5), GO_ARG_(6), \
		GO_ARG_(7), GO_ARG_(8)))

#define GO_START_(callee_, evals_, fields_, inits_, pass_) \
	({ \
		static const struct go_site go_site_ = {__FILE__, __func__, #callee_, __LINE__}; \
		__auto_type go_f_ = (callee_); \
		evals_ \
		struct go_args_ { \
			__typeof__(go_f_) f; \
			fields_ \
		} go_values_ = {.f = go_f_, inits_}; \
		_Static_assert(sizeof(go_values_) <= GO_ARGS_BYTES_MAX, "too many bytes of arguments"); \
		_Static_assert(_Alignof(struct go_args_) <= 16, "an argument is aligned beyond 16"); \
		GO_CODE_(__COUNTER__, (void)go_args_->f pass_) \
		go_spawn(&go_site_, go_entry_, go_code_, &go_values_, sizeof(go_values_)); \
	})

/* GO_CODE_(n, call): declares go_entry_ and go_code_, a function that does `call` on a go_args_. */
#define GO_CODE_(n, call) GO_CODE_N_(n, call)

#if defined(__clang__)

/* How clang lays out a block, a public ABI. One that captures nothing is a constant. */
struct go_block_ {
	void *isa;
	int flags;
	int reserved;
	void (*invoke)(void *block, void *args);
};
#define GO_CODE_N_(n, call) \
	void (^go_block_)(void *) = ^(void *go_bytes_) { \
		struct go_args_ *go_args_ = go_bytes_; \
		call; \
	}; \
	void *go_code_ = (void *)go_block_; \
	void (*go_entry_)(void *, void *) = ((struct go_block_ *)go_code_)->invoke;

#elif defined(__OPTIMIZE__)

#define GO_CODE_N_(n, call) \
	void go_call_(void *go_unused_, void *go_bytes_) \
	{ \
		struct go_args_ *go_args_ = go_bytes_; \
		(void)go_unused_; \
		call; \
	} \
	void *go_code_ = NULL; \
	void (*go_entry_)(void *, void *) = go_call_;

#else

/* Without optimization gcc gives every nested function a static chain, for debuggers, and so every
 * address of one a trampoline. The function's assembler name gives the address without. */
#define GO_CODE_N_(n, call) \
	auto void go_call_(void *, void *) __asm__("go_call_" #n) __attribute__((used)); \
	void go_call_(void *go_unused_, void *go_bytes_) \
	{ \
		struct go_args_ *go_args_ = go_bytes_; \
		(void)go_unused_; \
		call; \
	} \
	extern char go_symbol_##n##_[] __asm__("go_call_" #n) __attribute__((visibility("hidden"))); \
	void *go_code_ = NULL; \
	void (*go_entry_)(void *, void *) = (void (*)(void *, void *))(void *)go_symbol_##n##_;

#endif

#endif
