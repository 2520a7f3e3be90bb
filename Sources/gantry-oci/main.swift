import OCICommand

Program.main()
