/* context_x86_64.S - see context.h. */
	.text

	.globl	context_begin
	.hidden	context_begin
	.type	context_begin, @function
	.p2align 4
context_begin:
	.cfi_startproc
	.cfi_def_cfa_offset 0
	.cfi_undefined rip
	movq	%rsp, %rdi
	pushq	$0
	.cfi_adjust_cfa_offset 8
	pushq	$0
	.cfi_adjust_cfa_offset 8
	call	goroutine_main
	call	goroutine_end
	ud2
	.cfi_endproc
	.size	context_begin, .-context_begin

	.section .note.GNU-stack, "", @progbits
